"""Rows that do not become pairs of the base set, and their records in a ``dropped.parquet``.

Where it is decided that a row is dropped, by the column ``step``:

- ``normalise``, ``clean``, ``deduplicate`` (the same pair): :mod:`polypref.sources.formats`, per format;
- ``contamination`` (the prompt matches an evaluation prompt), ``deduplicate`` (the same prompt), ``length``,
  ``render`` (equal or empty answers), ``sample``: :mod:`polypref.sources.sampling`;
- ``answer``, ``diagnose``: :mod:`polypref.datasets.dropping`, for the pairs of an architecture;
- ``align``: :mod:`polypref.datasets.aligning`.
"""

from __future__ import annotations

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
