"""Splitting loses no text, and markup stays verbatim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.requests.splitting import LONGEST_SENTENCE, join_pieces, split_text

MARKDOWN = st.lists(
    st.sampled_from(
        ["Hello there. How are you?", "- item one", "```", "x = 1", "", "   ", "$$", "a^2", "1. Go!", "e.g. this"]
    ),
    max_size=12,
).map("\n".join)


@given(st.one_of(st.text(), MARKDOWN), st.sampled_from(["none", "lines", "sentences"]))
def test_untranslated_pieces_join_to_the_text(text, unit):
    assert join_pieces([(p.before, p.text, p.after) for p in split_text(text, unit)]) == text


def texts(text: str, unit: str) -> list[str]:
    return [piece.text for piece in split_text(text, unit) if piece.text]


def test_code_formulas_markers_and_blank_lines_stay_verbatim():
    text = "Look:\n\n```python\nprint('hi')\n```\n- first\n  2) second\n$$\nx = y\n$$\n\\[ a \\]\n42\nEnd"
    assert texts(text, "lines") == ["Look:", "first", "second", "End"]


def test_sentences():
    text = "Dr. Smith paid 3.50 today. He left!\nA new line"
    assert texts(text, "sentences") == ["Dr. Smith paid 3.50 today.", "He left!", "A new line"]


def test_a_long_sentence_is_split_at_punctuation_but_not_inside_a_word():
    sentence = ", ".join(["some words that go on"] * 60) + "."
    found = texts(sentence, "sentences")
    assert len(found) > 1 and all(len(piece) <= LONGEST_SENTENCE for piece in found)
    assert " ".join(found) == sentence


@pytest.mark.parametrize("unit", ["none", "lines", "sentences"])
def test_a_text_without_language_is_one_verbatim_piece(unit):
    (piece,) = split_text("  \n", unit)
    assert (piece.before, piece.text) == ("  \n", "")
