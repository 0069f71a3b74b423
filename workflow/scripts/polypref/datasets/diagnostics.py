"""Diagnose preference pairs: compute signals (columns) and flags that indicate possible faults.

This module drops no pairs. If a configuration lists flags under ``diagnostics.drop``, the function
:func:`polypref.datasets.building.build_dataset` drops the pairs with these flags and counts them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from polypref.config.diagnostics import EQUAL, Flag
from polypref.config.sections import ENGLISH
from polypref.datasets.character_ngrams import ngrams
from polypref.datasets.completeness import (
    is_incomplete,
    is_too_long,
    length_ratio,
    lost_marks,
    prose,
    sentence_ratio,
)
from polypref.datasets.identification import NEIGHBOURS, is_wrong_language, lingua_codes
from polypref.datasets.scripts import OTHER_SCRIPT, other_script
from polypref.files.conversations import contents, to_messages
from polypref.files.schemas import FIELDS
from polypref.files.visible import visible
from polypref.sources.tokens import CountTexts

Row = dict[str, Any]
FLAGS: tuple[str, ...] = get_args(Flag)
"""All flags: ``{field}_{kind}`` and ``chosen_equals_rejected``."""

SHINGLE = 12
"""Length in characters of the n-grams by which two texts are compared."""
COPY = 0.8
"""A text is flagged as a copy of another one if that contains at least this share of its n-grams."""
REPEATED = 20
"""Length in characters of the n-grams by which repetition is measured."""
LOOP = 0.5
"""A text is flagged as repetitive if at least this share of its n-grams occurred in it before."""
SHORTEST_LOOP = 80
"""Shorter texts, in characters, are never flagged as repetitive."""
FEWEST_LETTERS = 20
"""The language of a text with fewer letters is not identified; an ideograph or kana counts as four letters."""
EXCERPT = 2000
"""Number of characters at the start of a text from which its language is identified."""


@dataclass(frozen=True)
class Expected:
    """What is expected of an architecture's texts outside English.

    Parameters
    ----------
    translated : fields that are translated, which are compared with the English original
    scripts, length_ratios : {language: ISO 15924 code; characters per character of English, None if unknown}
    lengths : limits of the length of a translation, as shares of the expected length
    sentences : limit of its sentences, as a share of the sentences of its source
    rating : limit of its rating, from 0 to 100
    """

    translated: Collection[str] = ()
    scripts: Mapping[str, str] = dataclass_field(default_factory=dict)
    length_ratios: Mapping[str, float | None] = dataclass_field(default_factory=dict)
    lengths: tuple[float, float] = (0.0, float("inf"))
    sentences: float = 0.0
    rating: float = 0.0


Identify = Callable[[list[str]], list[str]]
"""Identifies the languages of texts as ISO 639-1 codes; the code is empty if the language is unknown."""


@lru_cache(maxsize=64)
def plain(text: str) -> str:
    """Fold the case and collapse the white space of a text, for comparison."""
    return " ".join(text.casefold().split())


@lru_cache(maxsize=64)
def _known(text: str) -> frozenset[int]:
    return frozenset(_shingles(text))


@lru_cache(maxsize=64)
def _shingles(text: str) -> list[int]:
    return ngrams(text, SHINGLE)


def overlap(text: str, other: str) -> float:
    """Return the share in [0, 1] of a text's n-grams of `SHINGLE` characters that another text contains.

    A text that is shorter than one n-gram is compared as a whole: the result is 1 if both texts are equal, else 0.
    """
    text, other = plain(text), plain(other)
    pieces = _shingles(text)
    if not pieces:
        return float(bool(text) and text == other)
    return sum(map(_known(other).__contains__, pieces)) / len(pieces)


def repetition(text: str) -> float:
    """Return the share in [0, 1] of a text's n-grams of `REPEATED` characters that occur in it earlier.

    A text that consists of n copies of a unit has a share of about 1 - 1/n. The share is 0 for a text with fewer than
    `SHORTEST_LOOP` characters.
    """
    text = plain(text)
    if len(text) < SHORTEST_LOOP:
        return 0.0
    pieces = ngrams(text, REPEATED)
    return 1 - len(set(pieces)) / len(pieces)


def language_identifier(languages: Iterable[str]) -> Identify:
    """Return a function that identifies languages with lingua among the given ones and `NEIGHBOURS`.

    With all 75 languages, lingua would load a gigabyte of models. With only those of the experiment, a text in any
    other language would be identified as the most similar of them.
    """
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    known = [getattr(IsoCode639_1, code.upper()) for code in sorted(lingua_codes((*languages, *NEIGHBOURS)))]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*known).build()

    def identify(texts: list[str]) -> list[str]:
        excerpts = [text[:EXCERPT] for text in texts]
        long = [n for n, excerpt in enumerate(excerpts) if _has_letters(excerpt)]
        languages = detector.detect_languages_in_parallel_of([excerpts[n] for n in long])
        found = dict(zip(long, languages, strict=True))
        return [found[n].iso_code_639_1.name.lower() if found.get(n) else "" for n in range(len(texts))]

    return identify


def _has_letters(text: str) -> bool:
    """Whether a text has at least `FEWEST_LETTERS` letters; an ideograph or kana counts as four."""
    letters = (4 if char >= "\u2e80" else 1 for char in text if char.isalpha())
    return any(count >= FEWEST_LETTERS for count in itertools.accumulate(letters))


def diagnose(
    rows: Iterable[Row],
    originals: dict[str, Row],
    cut: dict[tuple[str, str], set[str]],
    identify: Identify,
    count: CountTexts,
    expected: Expected = Expected(),
    ratings: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
) -> list[Row]:
    """Compute the signals and flags of pairs.

    Parameters
    ----------
    rows : rows in DATASET, including those with chosen equal to rejected
    originals : {item_id: row in PAIRS}, the English source texts
    cut : {(language, field): ids of the texts that were truncated at their maximum length}
    identify, count : functions that return the languages and the token counts of texts
    expected : what is expected of the texts outside English
    ratings : {field: {item_id: rating of the translation, or None}}

    Returns
    -------
    Rows in RATED_DIAGNOSTICS, one per pair in the same order. English fields are not compared with the source text,
    because in English the original is the expected text. A prompt of several messages is examined without their roles,
    and its language is that of the first message in another language than expected, if there is one.
    """
    found = []
    rows = [{**row, "prompt": contents(row["prompt_messages"])} for row in rows]
    texts = list(dict.fromkeys(row[field] for row in rows for field in FIELDS))
    turns = (message["content"] for row in rows for message in row["prompt_messages"])
    known = list(dict.fromkeys([*texts, *turns]))
    languages = dict(zip(known, identify(known), strict=True))
    lengths = dict(zip(texts, count(texts), strict=True))
    for row in rows:
        item, language = row["item_id"], row["language"]
        tokens = {field: lengths[row[field]] for field in FIELDS}
        signals: Row = {key: row[key] for key in ("item_id", "language", "source")}
        flags = []
        turns = [languages[message["content"]] for message in row["prompt_messages"]]
        wrong = next((code for code in turns if code not in ("", language)), "")
        for field in FIELDS:
            text = row[field]
            foreign = language != ENGLISH
            signals |= {
                f"{field}_language": (wrong if field == "prompt" else "") or languages[text],
                f"{field}_tokens": tokens[field],
                f"{field}_characters": len(text),
                f"{field}_repetition": repetition(text),
                f"{field}_source_overlap": overlap(text, _original(originals[item], field)) if foreign else 0.0,
                f"{field}_prompt_overlap": overlap(text, row["prompt"]) if field != "prompt" else 0.0,
                f"{field}_truncated": item in cut.get((language, field), ()),
                f"{field}_other_script": other_script(text, expected.scripts.get(language)),
                **_compare(text, _original(originals[item], field), field, language, expected),
                f"{field}_rating": ratings.get(field, {}).get(item),
            }
            flags += [f"{field}_{kind}" for kind in _kinds(signals, field, language, expected)]
        if visible(row["chosen"]) == visible(row["rejected"]):
            flags.append(EQUAL)
        found.append({**signals, "token_gap": tokens["chosen"] - tokens["rejected"], "flags": flags})
    return found


def _original(pair: Row, field: str) -> str:
    return contents(to_messages(pair[field])) if field == "prompt" else pair[field]


def _compare(text: str, source: str, field: str, language: str, expected: Expected) -> Row:
    """Return the signals that compare a translation with its source; all are None if the text is not a translation."""
    names = [f"{field}_{signal}" for signal in ("length_ratio", "sentence_ratio", "lost_marks")]
    if language == ENGLISH or field not in expected.translated:
        return dict(zip(names, (None, None, 0), strict=True))
    ours, theirs = prose(text), prose(source)
    length = length_ratio(ours, theirs, expected.length_ratios.get(language))
    found = (length, sentence_ratio(ours, theirs, language), len(lost_marks(text, source)))
    return dict(zip(names, found, strict=True))


def _kinds(signals: Row, field: str, language: str, expected: Expected) -> list[str]:
    """Return the kinds of flags that the signals of a field imply."""
    (shortest, longest), length = expected.lengths, signals[f"{field}_length_ratio"]
    rating = signals[f"{field}_rating"]
    tests = {
        "wrong_language": is_wrong_language(signals[f"{field}_language"], language),
        "copies_prompt": signals[f"{field}_prompt_overlap"] >= COPY,
        "copies_source": signals[f"{field}_source_overlap"] >= COPY,
        "truncated": signals[f"{field}_truncated"],
        "repeats": signals[f"{field}_repetition"] >= LOOP,
        "wrong_script": signals[f"{field}_other_script"] >= OTHER_SCRIPT,
        "incomplete": is_incomplete(length, signals[f"{field}_sentence_ratio"], shortest, expected.sentences),
        "too_long": is_too_long(length, longest),
        "loses_markup": signals[f"{field}_lost_marks"] > 0,
        "low_rating": rating is not None and rating < expected.rating,
    }
    return [kind for kind, holds in tests.items() if holds]


def truncated(language: str, texts: dict[str, pa.Table | None]) -> dict[tuple[str, str], set[str]]:
    """Return the ids of truncated texts by (language, field), from {field: table in TEXTS}."""
    return {
        (language, field): set(table["item_id"].filter(pc.equal(table["finish_reason"], "length")).to_pylist())
        for field, table in texts.items()
        if table is not None
    }
