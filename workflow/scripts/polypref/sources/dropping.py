"""Rows that do not become pairs of the base set, and their records in a ``dropped.parquet``.

Where it is decided that a row is dropped, by the column ``step``:

- ``normalise``, ``clean``, ``deduplicate`` (the same pair): :mod:`polypref.sources.formats`, per format;
- ``contamination`` (the prompt matches an evaluation prompt), ``deduplicate`` (the same prompt), ``length``,
  ``render`` (equal or empty answers), ``sample``: :mod:`polypref.sources.sampling`;
- ``answer``, ``diagnose``: :mod:`polypref.datasets.dropping`, for the pairs of an architecture;
- ``align``: :mod:`polypref.datasets.aligning`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from polypref.sources.cleaning import readable


@dataclass(frozen=True)
class DroppedRow:
    """A row of a source that becomes no pair: the format excludes it (e.g. a tie), or it is unusable (``bad``)."""

    row: int
    reason: str
    bad: bool = False


def dropped_row(row: dict[str, Any], step: str, reason: str, language: str = "en") -> dict[str, Any]:
    """Convert a pair to a row in DROPPED."""
    kept = {name: row[name] for name in ("source", "row", "item_id")}
    return {**kept, "language": language, "step": step, "reason": readable(reason)}


_KINDS = [
    (re.compile(r"^the same (pair|prompt) as .*", re.S), r"the same \1 as another row"),
    (re.compile(r"^\d+ tokens, more than (\d+)$"), r"more than \1 tokens"),
    (re.compile(r"^evaluation prompt .* \((.*?)\)$", re.S), r"an evaluation prompt (\1)"),
]


def kind_of_reason(reason: str) -> str:
    """Return the reason without what is particular to a row (e.g. the row that has the same pair), for counting."""
    for particular, kind in _KINDS:
        if particular.match(reason):
            return particular.sub(kind, reason)
    return reason
