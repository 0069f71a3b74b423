"""Which pairs of an architecture are dropped: those with an error, equal answers, a flag, or no counterpart.

``diagnostics.drop`` in the configuration chooses the flags, and ``diagnostics.align`` drops from each data set the
pairs that another architecture lacks. Rows that are dropped earlier: :mod:`polypref.sources.dropping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from polypref.config.diagnostics import EQUAL
from polypref.files.visible import look_equal
from polypref.sources.dropping import dropped_row

Row = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Dropped:
    """Step and reason for which each of some pairs is dropped; both are null for the pairs that are kept."""

    step: pa.Array
    reason: pa.Array

    def mark(self, chosen: pa.Array, step: str, reason: str | pa.Array) -> Dropped:
        """Drop the chosen pairs (bool) that are not dropped yet."""
        chosen = pc.and_(chosen, pc.is_null(self.reason))
        return Dropped(pc.if_else(chosen, step, self.step), pc.if_else(chosen, reason, self.reason))


def nothing_dropped(count: int) -> Dropped:
    return Dropped(pa.nulls(count, pa.string()), pa.nulls(count, pa.string()))


def mark_failed(dropped: Dropped, errors: pa.Array) -> Dropped:
    """Drop the pairs with an error (null in the others)."""
    return dropped.mark(pc.is_valid(errors), "answer", errors)


def mark_equal(dropped: Dropped, chosen: pa.Array, rejected: pa.Array) -> Dropped:
    """Drop the pairs whose answers are equal but for invisible characters."""
    both = zip(chosen.to_pylist(), rejected.to_pylist(), strict=True)
    equal = [one is not None and two is not None and look_equal(one, two) for one, two in both]
    return dropped.mark(pa.array(equal, pa.bool_()), "answer", "chosen equals rejected")


def mark_flagged(dropped: Dropped, ids: pa.Array, drop: Sequence[str], flags: pa.Table) -> Dropped:
    """Drop the pairs with a flag for which pairs are dropped (``diagnostics.drop``); ``flags``: item_id and flags."""
    by_id = dict(zip(flags["item_id"].to_pylist(), flags["flags"].to_pylist(), strict=True))
    wanted = [flag for flag in drop if flag != EQUAL]
    first = (next((flag for flag in wanted if flag in by_id.get(key, ())), None) for key in ids.to_pylist())
    reasons = pa.array([flag and flag.replace("_", " ") for flag in first], pa.string())
    return dropped.mark(pc.is_valid(reasons), "diagnose", reasons)


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
