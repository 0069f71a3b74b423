"""Pair diagnostics: what may be wrong with a preference pair, as signals in columns and flags by name.

Nothing here leaves a pair out. A configuration that wants to names flags under ``diagnostics.drop``, and
:func:`polypref.datasets.building.build_dataset` leaves such pairs out and counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import pandas as pd

from polypref.config.sections import ENGLISH, Flag
from polypref.files.schemas import FIELDS
from polypref.files.visible import visible
from polypref.sources.tokens import CountTexts

Row = dict[str, Any]
EQUAL = "chosen_equals_rejected"
FLAGS: tuple[str, ...] = get_args(Flag)
"""All flags: ``{field}_{kind}`` and ``chosen_equals_rejected``."""

SHINGLE = 12
"""Characters of the pieces by which a text is compared with another one."""
COPY = 0.8
"""Share of a text's pieces that another text has too, from which on it is called a copy."""
REPEATED = 20
"""Characters of the pieces by which a text is searched for repetition."""
LOOP = 0.5
"""Share of a text's pieces that stood in it before, from which on it is called a loop."""
SHORTEST_LOOP = 80
"""Characters below which a text is too short to be called a loop."""
FEWEST_LETTERS = 20
"""Letters (ideographs and kana count four each) below which a text's language is not guessed."""
NEIGHBOURS = ("en", "da", "sv", "nb", "fr", "pt", "it", "uk", "ko", "fa", "af")
"""Languages that models slip into or that are taken for one another, looked for beside those of the experiment."""
EXCERPT = 2000
"""Characters of a text by which its language is identified."""

Identify = Callable[[list[str]], list[str]]
"""ISO 639-1 codes of texts' languages, empty where it can't be told."""


def plain(text: str) -> str:
    """A text without case and with single blanks, by which copies are recognised."""
    return " ".join(text.casefold().split())


def _shingles(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(len(text) - size + 1)]


def overlap(text: str, other: str) -> float:
    """Share in [0, 1] of a text's pieces of `SHINGLE` characters that are in another text.

    A text shorter than a piece is compared as a whole: 1 where both are the same, else 0.
    """
    text, other = plain(text), plain(other)
    pieces = _shingles(text, SHINGLE)
    if not pieces:
        return float(bool(text) and text == other)
    known = set(_shingles(other, SHINGLE))
    return sum(map(known.__contains__, pieces)) / len(pieces)


def repetition(text: str) -> float:
    """Share in [0, 1] of a text's pieces of `REPEATED` characters that stand in it earlier; a unit repeated n times
    gives about 1 - 1/n, wherever in the text it stands. 0 for a text of less than `SHORTEST_LOOP` characters.
    """
    text = plain(text)
    if len(text) < SHORTEST_LOOP:
        return 0.0
    pieces = _shingles(text, REPEATED)
    return 1 - len(set(pieces)) / len(pieces)


def language_identifier(languages: Iterable[str]) -> Identify:
    """Identify languages with lingua among some ISO 639-1 codes and `NEIGHBOURS`.

    Among all 75 that lingua knows it would load a gigabyte; among those of the experiment alone, a text in any other
    language would pass as the nearest of them.
    """
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = {code.upper() for code in (*languages, *NEIGHBOURS)}
    known = [getattr(IsoCode639_1, code) for code in sorted(codes) if hasattr(IsoCode639_1, code)]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*known).build()

    def identify(texts: list[str]) -> list[str]:
        excerpts = [text[:EXCERPT] for text in texts]
        long = [n for n, excerpt in enumerate(excerpts) if _letters(excerpt) >= FEWEST_LETTERS]
        languages = detector.detect_languages_in_parallel_of([excerpts[n] for n in long])
        found = dict(zip(long, languages, strict=True))
        return [found[n].iso_code_639_1.name.lower() if found.get(n) else "" for n in range(len(texts))]

    return identify


def _letters(text: str) -> int:
    return sum(4 if char >= "\u2e80" else 1 for char in text if char.isalpha())


def diagnose(
    rows: Iterable[Row],
    originals: dict[str, Row],
    cut: dict[tuple[str, str], set[str]],
    identify: Identify,
    count: CountTexts,
) -> list[Row]:
    """Signals and flags of pairs.

    Parameters
    ----------
    rows : rows in DATASET, those with chosen equal to rejected among them
    originals : {item_id: row in PAIRS}, the English source texts
    cut : {(language, field): ids of the texts that ended at their maximum length}
    identify, count : languages and numbers of tokens of texts

    Returns
    -------
    Rows in DIAGNOSTICS, one per pair in the same order. A copy of the source text is looked for in translated and
    generated fields outside English alone: in English the original belongs there.
    """
    found, rows = [], list(rows)
    texts = list(dict.fromkeys(row[field] for row in rows for field in FIELDS))
    languages = dict(zip(texts, identify(texts), strict=True))
    lengths = dict(zip(texts, count(texts), strict=True))
    for row in rows:
        item, language = row["item_id"], row["language"]
        tokens = {field: lengths[row[field]] for field in FIELDS}
        signals: Row = {key: row[key] for key in ("item_id", "language", "source")}
        flags = []
        for field in FIELDS:
            text = row[field]
            foreign = language != ENGLISH
            signals |= {
                f"{field}_language": languages[text],
                f"{field}_tokens": tokens[field],
                f"{field}_characters": len(text),
                f"{field}_repetition": repetition(text),
                f"{field}_source_overlap": overlap(text, originals[item][field]) if foreign else 0.0,
                f"{field}_prompt_overlap": overlap(text, row["prompt"]) if field != "prompt" else 0.0,
                f"{field}_truncated": item in cut.get((language, field), ()),
            }
            flags += [f"{field}_{kind}" for kind in _kinds(signals, field, language)]
        if visible(row["chosen"]) == visible(row["rejected"]):
            flags.append(EQUAL)
        found.append({**signals, "token_gap": tokens["chosen"] - tokens["rejected"], "flags": flags})
    return found


def _kinds(signals: Row, field: str, language: str) -> list[str]:
    """Kinds of flags that a field's signals give."""
    tests = {
        "wrong_language": signals[f"{field}_language"] not in ("", language),
        "copies_prompt": signals[f"{field}_prompt_overlap"] >= COPY,
        "copies_source": signals[f"{field}_source_overlap"] >= COPY,
        "truncated": signals[f"{field}_truncated"],
        "repeats": signals[f"{field}_repetition"] >= LOOP,
    }
    return [kind for kind, holds in tests.items() if holds]


def truncated(texts: dict[str, dict[str, list[Row] | None]]) -> dict[tuple[str, str], set[str]]:
    """Ids of texts that were cut at their maximum length, by (language, field), from {language: {field: TEXTS}}."""
    return {
        (language, field): {row["item_id"] for row in rows or () if row["finish_reason"] == "length"}
        for language, fields in texts.items()
        for field, rows in fields.items()
    }


def tabulate_diagnostics(diagnostics: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Counts of flags and mean lengths per architecture, language and source.

    Parameters
    ----------
    diagnostics : architecture to schema DIAGNOSTICS.

    Returns
    -------
    architecture, language, source, pairs; ``{field}_tokens`` (means), ``token_gap`` (mean of chosen minus rejected),
    ``chosen_longer`` (share of pairs); then a count of pairs for each of `FLAGS`.
    """
    keys = ["architecture", "language", "source"]
    tables = []
    for name, frame in sorted(diagnostics.items()):
        flags = frame["flags"].map(lambda found: set(found))
        marked = frame.assign(
            architecture=name,
            chosen_longer=(frame["token_gap"] > 0).astype(float),
            **{flag: flags.map(lambda found, flag=flag: flag in found).astype(int) for flag in FLAGS},
        )
        means = [f"{field}_tokens" for field in FIELDS] + ["token_gap", "chosen_longer"]
        groups = marked.groupby(keys, sort=True)
        table = pd.concat([groups.size().rename("pairs"), groups[means].mean(), groups[list(FLAGS)].sum()], axis=1)
        tables.append(table.reset_index())
    return pd.concat(tables, ignore_index=True)


def tabulate_lengths(diagnostics: dict[str, pd.DataFrame], languages: Sequence[str]) -> pd.DataFrame:
    """Distribution of lengths per architecture, language and field.

    Parameters
    ----------
    diagnostics : architecture to schema DIAGNOSTICS.
    languages : order of the rows.

    Returns
    -------
    architecture, language, field, pairs, mean, and p5, p25, p50, p75, p95 (percentiles), in tokens of the trainee's
    tokenizer.
    """
    shares = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
    tables = []
    for name, frame in sorted(diagnostics.items()):
        columns = {f"{field}_tokens": field for field in FIELDS}
        long = frame.rename(columns=columns).melt("language", list(FIELDS), var_name="field", value_name="tokens")
        groups = long.groupby(["language", "field"])["tokens"]
        quantiles = {label: groups.quantile(share) for label, share in shares.items()}
        table = pd.DataFrame({"pairs": groups.size(), "mean": groups.mean(), **quantiles}).reset_index()
        tables.append(table.assign(architecture=name))
    table = pd.concat(tables, ignore_index=True)
    places = {"language": list(languages), "field": list(FIELDS)}
    order = {key: table[key].map(values.index) for key, values in places.items()}
    table = table.iloc[table.assign(**order).sort_values(["architecture", "language", "field"]).index]
    return table[["architecture", "language", "field", "pairs", "mean", *shares]].reset_index(drop=True)
