"""The visible part of a text."""

import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from polypref.files import visible as visible_module
from polypref.files.visible import look_equal, may_look_equal, visible


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Rhine\u200b", "Rhine"),
        ("so\u00adft", "soft"),
        ("\ufeffa\u00a0b \r\n", "a b"),
        ("\u2764\ufe0f", "\u2764"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u200f\u05d0", "\u05d0"),
        ("\u200b\u2060\u3164", ""),
    ],
)
def test_invisible_differences_are_ignored(text, other):
    assert visible(text) == visible(other) == other


@pytest.mark.parametrize(("text", "other"), [("a  b", "a b"), ("x:\n    y", "x:\n  y"), ("a b", "ab"), ("A", "a")])
def test_visible_differences_are_kept(text, other):
    assert visible(text) != visible(other)


PIECES = ["a", "e", "\u0301", " ", "\n", "\u200b", "\u00a0", "\u00e9", "\u212b", "\u00c5", "\u1100", "\u1161", "\uac00",
          "\u11a8", "\u304b", "\u3099", "\u304c", "\u0915", "\u093c", "\u0958", "\u4e00", "\u00ad", "\u0644",
          "\u064b"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=40)


@settings(deadline=None)
@given(TEXTS, TEXTS)
@example("caf\u00e9 au lait", "cafe\u0301 au lait")
@example(" a b", "a b")
def test_texts_look_equal_if_their_visible_texts_are_equal(one, two):
    assert look_equal(one, two) == (visible(one) == visible(two))
    assert look_equal(one, unicodedata.normalize("NFD", one)) == (
        visible(one) == visible(unicodedata.normalize("NFD", one))
    )
    for other in (two, unicodedata.normalize("NFD", one)):
        may = may_look_equal(pa.array([one]), pa.array([other]))[0].as_py()
        assert may or not look_equal(one, other)


def test_texts_that_begin_otherwise_are_not_compared():
    one, two = pa.array(["Yes, it is.", "Yes", None, "\u200bYes"]), pa.array(["No, it is not.", "Yes!", "x", "Yes"])
    assert may_look_equal(one, two).to_pylist() == [False, True, False, True]


def test_every_invisible_character_is_removed():
    found = [chr(code) for code in range(sys.maxunicode + 1) if visible_module._is_invisible(chr(code))]
    assert [char for char in found if visible_module.visible(f"a{char}b") != "ab"] == []


def test_the_characters_of_a_plain_start_are_visible_and_normalised():
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if visible_module._START.match(f"{char}x"):
            assert unicodedata.normalize("NFC", char) == char and not visible_module._is_invisible(char)
            assert not unicodedata.combining(char)
