"""Compare a translation with its English source: its length, its number of sentences, and the markup that it kept.

Only prose is compared: fenced code, display formulas, and the markup within lines that a translation must not change
count neither as characters nor as sentences (:mod:`polypref.requests.verbatim`).
"""

from __future__ import annotations

import sentencex

from polypref.config.sections import ENGLISH
from polypref.requests.verbatim import protected, segments

FEWEST_CHARACTERS = 60
"""Minimum number of characters of prose in an English text whose length is compared with that of its translation."""
FEWEST_SENTENCES = 3
"""Minimum number of sentences in an English text whose sentences are compared with those of its translation."""


def prose(text: str) -> str:
    """Return a text without its code, formulas, URLs and placeholders, and without repeated white space in lines."""
    kept = "".join(part for part, translate in segments(text) if translate)
    for mark in sorted(protected(kept), key=len, reverse=True):
        kept = kept.replace(mark, " ")
    return "\n".join(" ".join(line.split()) for line in kept.splitlines() if line.strip())


def count_sentences(text: str, language: str) -> int:
    """Count the sentences that have letters; a line break ends a sentence."""
    found = (sentence for line in text.splitlines() for sentence in sentencex.segment(language, line))
    return sum(any(char.isalpha() for char in sentence) for sentence in found)


def length_ratio(text: str, source: str, expected: float | None) -> float | None:
    """Return the length of a translation relative to the expected length, or None if the source is too short.

    Parameters
    ----------
    text, source : :func:`prose` of the translation and of the English text
    expected : characters of a translation per character of English in this language, None if unknown
    """
    if expected is None or len(source) < FEWEST_CHARACTERS:
        return None
    return len(text) / (expected * len(source))


def sentence_ratio(text: str, source: str, language: str) -> float | None:
    """Return the ratio of the sentences of a translation and its source (both :func:`prose`), None if they are few."""
    sentences = count_sentences(source, ENGLISH)
    return count_sentences(text, language) / sentences if sentences >= FEWEST_SENTENCES else None


def lost_marks(text: str, source: str) -> list[str]:
    """Return the URLs, code, formulas and placeholders that a translation lacks; white space is ignored."""
    squeezed = "".join(text.split())
    return [mark for mark in dict.fromkeys(protected(source)) if "".join(mark.split()) not in squeezed]


def is_incomplete(length: float | None, sentences: float | None, shortest: float, fewest: float) -> bool:
    """Whether a translation has too few characters or sentences, by its ratios and the limits of the configuration."""
    return (length is not None and length < shortest) or (sentences is not None and sentences < fewest)


def is_too_long(length: float | None, longest: float) -> bool:
    """Whether a translation has too many characters."""
    return length is not None and length > longest
