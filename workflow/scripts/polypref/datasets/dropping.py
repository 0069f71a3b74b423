"""Which pairs of an architecture are dropped: those with an error, equal answers, a flag, or no counterpart.

``diagnostics.drop`` in the configuration chooses the flags, and ``diagnostics.align`` drops from each data set the
pairs that another architecture lacks. Rows that are dropped earlier: :mod:`polypref.sources.dropping`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from polypref.config.diagnostics import EQUAL
from polypref.files.visible import visible
from polypref.sources.dropping import dropped_row

Row = dict[str, Any]
Key = tuple[str, str]


def reason_to_drop(row: Row | None, error: str, drop: Sequence[str], flags: Collection[str]) -> tuple[str, str] | None:
    """Return the step and the reason for which a pair is dropped, or None if it is kept.

    Parameters
    ----------
    row : the joined pair, or None if one of its fields has an ``error``.
    drop : flags for which a pair is dropped (``diagnostics.drop``).
    flags : the pair's flags.
    """
    if row is None:
        return "answer", error
    if EQUAL in drop and visible(row["chosen"]) == visible(row["rejected"]):
        return "answer", "chosen equals rejected"
    flagged = next((flag for flag in drop if flag != EQUAL and flag in flags), None)
    return ("diagnose", flagged.replace("_", " ")) if flagged else None


def missing_elsewhere(name: str, keys: Mapping[str, set[Key]]) -> dict[Key, str]:
    """Find the pairs of a data set that another one lacks.

    Parameters
    ----------
    name : the architecture.
    keys : architecture to the (item_id, language) of its pairs.

    Returns
    -------
    (item_id, language) of each such pair, with the reason for dropping it.
    """
    found = {}
    for key in keys[name]:
        lacking = sorted(other for other, theirs in keys.items() if key not in theirs)
        if lacking:
            found[key] = f"not in data set {', '.join(lacking)}"
    return found


def dropped_rows(missing: Mapping[Key, str], pairs: Mapping[str, Row]) -> list[Row]:
    """Convert `missing_elsewhere`'s pairs to rows in DROPPED, sorted by language and ``item_id``; ``pairs``: by id."""
    ordered = sorted(missing.items(), key=lambda entry: entry[0][::-1])
    return [dropped_row(pairs[item], "align", reason, language) for (item, language), reason in ordered]
