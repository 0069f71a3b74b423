"""Align data sets: drop from each data set the pairs that another architecture lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polypref.sources.sampling import left_out

Row = dict[str, Any]
Key = tuple[str, str]


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
    return [left_out(pairs[item], "align", reason, language) for (item, language), reason in ordered]
