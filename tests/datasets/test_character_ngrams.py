"""Hashes of n-grams are as often equal as the n-grams themselves."""

from hypothesis import given
from hypothesis import strategies as st

from polypref.datasets.character_ngrams import ngrams

TEXTS = st.one_of(
    st.text(max_size=300), st.text(alphabet="ab ", max_size=300), st.text("\u0000\U0010ffffa", max_size=80)
)


@given(TEXTS, TEXTS, st.integers(1, 20))
def test_hashes_are_equal_where_ngrams_are(one, two, size):
    pieces = [text[start : start + size] for text in (one, two) for start in range(len(text) - size + 1)]
    hashes = ngrams(one, size) + ngrams(two, size)
    assert len(hashes) == len(pieces)
    assert [hashes.index(found) for found in hashes] == [pieces.index(piece) for piece in pieces]


def test_a_text_longer_than_any_before():
    for length in (5, 50, 5000, 40):
        assert len(set(ngrams("abcd" * length, 4))) == 4
