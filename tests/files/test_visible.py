"""What a reader sees of a text."""

import pytest

from polypref.files.visible import visible


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
def test_invisible_differences_are_none(text, other):
    assert visible(text) == visible(other) == other


@pytest.mark.parametrize(("text", "other"), [("a  b", "a b"), ("x:\n    y", "x:\n  y"), ("a b", "ab"), ("A", "a")])
def test_visible_differences_stay(text, other):
    assert visible(text) != visible(other)
