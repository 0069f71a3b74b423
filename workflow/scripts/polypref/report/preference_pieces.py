"""Write the data of the reader: each English pair, and its versions in every architecture and language.

``items`` lists the pairs, ``original-NNN`` contains the English texts, and ``reader-LANGUAGE`` the flags and the
reasons for dropping pairs. Each ``reader-LANGUAGE-NNN`` contains the distinct texts of some pairs.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from polypref.datasets.diagnostics import FLAGS
from polypref.files.conversations import to_transcript
from polypref.files.schemas import FIELDS
from polypref.report.pieces import Numbers, snippet, write_piece, write_rows

COLUMNS = ("item_id", "language", *FIELDS, *(f"{field}_provenance" for field in FIELDS))
"""Columns of a data set that are shown in the reader."""
SIGNALS = tuple(f"{field}_{signal}" for field in FIELDS for signal in ("language", "tokens", "rating"))
BITS = {flag: 1 << number for number, flag in enumerate(FLAGS)}


def write_preferences(
    folder: Path,
    pairs: pd.DataFrame,
    datasets: Mapping[str, pd.DataFrame],
    dropped: Mapping[str, pd.DataFrame],
    diagnostics: Mapping[str, pd.DataFrame],
    languages: Sequence[str],
) -> None:
    """Write the reader's pieces.

    Parameters
    ----------
    pairs : English base set, schema PAIRS, in the order of the reader; then the native prompts, which have a
        ``language`` (NaN in the base set).
    datasets, dropped, diagnostics : architecture to schema DATASET (only `COLUMNS`), DROPPED and DIAGNOSTICS.
    languages : ISO 639-1 codes.
    """
    pairs = pairs.assign(prompt=pairs["prompt"].map(to_transcript))
    originals = write_rows(folder, "original", pairs[list(FIELDS)].itertuples(index=False, name=None))
    own = pairs["language"].fillna("") if "language" in pairs else [""] * len(pairs)
    items = [
        [row.item_id, row.source, row.task, snippet(row.prompt), *([code] if code else [])]
        for row, code in zip(pairs.itertuples(), own, strict=True)
    ]
    architectures = list(datasets)
    write_piece(
        folder,
        "items",
        {"architectures": architectures, "flags": list(FLAGS), "original": originals, "items": items},
    )
    ids = list(pairs["item_id"])
    kept, left, signs = ({name: _by_language(frames[name]) for name in architectures} for frames in
                         (datasets, dropped, diagnostics))  # fmt: skip
    for language in languages:
        here = [_Architecture(*(found[name].get(language, {}) for found in (kept, left, signs)))
                for name in architectures]  # fmt: skip
        _write_language(folder, language, ids, here)


class _Architecture:
    """Kept rows, dropped rows and diagnostics of one architecture in one language, by ``item_id``."""

    def __init__(self, kept: dict[str, dict], left: dict[str, dict], signs: dict[str, dict]):
        self.kept, self.left, self.signs = kept, left, signs

    def flags(self, item: str) -> int:
        return sum(BITS[flag] for flag in self.signs[item]["flags"]) if item in self.signs else 0

    def reason(self, item: str) -> str:
        return f"{self.left[item]['step']}: {self.left[item]['reason']}" if item in self.left else ""


def _by_language(frame: pd.DataFrame) -> dict[str, dict[str, dict]]:
    """Index rows as {language: {item_id: row}}."""
    return {
        language: {row["item_id"]: row for row in rows.to_dict("records")}
        for language, rows in frame.groupby("language")
    }


def _write_language(folder: Path, language: str, ids: list[str], here: list[_Architecture]) -> None:
    """Write the pieces of one language."""
    made, reasons = Numbers(), Numbers([""])
    starts = write_rows(folder, f"reader-{language}", (_item(item, here, made) for item in ids))
    index = {
        "starts": starts,
        "made": [_made_by(provenance) for provenance in made.values],
        "flags": [[architecture.flags(item) for item in ids] for architecture in here],
        "left": [[reasons(architecture.reason(item)) for item in ids] for architecture in here],
        "reasons": reasons.values,
    }
    write_piece(folder, f"reader-{language}", index)


def _item(item: str, here: list[_Architecture], made: Numbers) -> list[Any]:
    """Return the distinct texts of a pair, and the indices of texts and provenance and the signals by architecture."""
    texts, cells, signals = Numbers(), [], []
    for architecture in here:
        row, signs = architecture.kept.get(item), architecture.signs.get(item)
        numbers = None
        if row:
            numbers = [
                *(texts(row[field]) for field in FIELDS),
                *(made(row[f"{field}_provenance"]) for field in FIELDS),
            ]
        cells.append(numbers)
        signals.append(signs and [_or_null(signs.get(name)) for name in SIGNALS])
    return [texts.values, cells, signals]


def _or_null(value: Any) -> Any:
    """Replace nan, for which JSON has no number, by None."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _made_by(provenance: str) -> str:
    """Describe the model, revision and decoding of a text in one line."""
    made = json.loads(provenance)
    if made["model"] == "source":
        return "the English original"
    if made["model"] == "native":
        return "written in the language"
    revision = f" at {str(made['revision'])[:12]}" if made.get("revision") else ""
    return f"{made['model']}: {made.get('checkpoint') or ''}{revision} {made.get('decoding') or ''}".strip()
