"""Composed licences: the strictest one applies, an unknown one gives "other", and the card lists them all."""

import pytest

from polypref.config.licenses import compose
from polypref.datasets.cards import card


@pytest.mark.parametrize(
    ("licenses", "license", "strictest"),
    [
        ({"a": "mit", "b": "mit"}, "mit", ["a", "b"]),
        ({"a": "mit", "b": "cc-by-4.0"}, "cc-by-4.0", ["b"]),
        ({"a": "gemma", "b": "apache-2.0"}, "gemma", ["a"]),
        ({"a": "gemma", "b": "llama3"}, "other", ["a", "b"]),
        ({"a": "openai-terms", "b": "mit"}, "other", ["a"]),
        ({"a": "llama3", "b": "cc-by-4.0 (prompts), cc-by-nc-4.0 (answers)"}, "cc-by-nc-4.0", ["b"]),
        ({"a": "cc-by-nc-4.0", "b": "unknown"}, "other", ["b"]),
        ({"a": "MIT", "b": "my own words"}, "other", ["b"]),
    ],
)
def test_the_strictest_licence_applies_to_the_data_set(licenses, license, strictest):
    found = compose(licenses)
    assert (found.license, found.strictest) == (license, strictest)


def test_the_card_lists_every_licence_and_shows_diagnostics():
    rows = [{"language": "de", "source": "s"}]
    found = [{"language": "de", "token_gap": 4, "flags": ["rejected_repeats"]}]
    made = dict.fromkeys(("prompt", "chosen", "rejected"), "english")
    licenses = {"s": "cc-by-4.0", "m": "cc-by-nc-4.0"}
    text = card("A", "T", made, {"de": "German"}, licenses, rows, [], found)
    assert "license: cc-by-nc-4.0" in text and "- s: cc-by-4.0" in text and "- m: cc-by-nc-4.0" in text
    assert "*non-commercial* (m)" in text
    assert "| German | 1 | +4.0 | 1 | rejected repeats 1 |" in text
