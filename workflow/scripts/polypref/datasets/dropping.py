"""Which pairs of an architecture are dropped: those with an error, equal answers, or a flag.

``diagnostics.drop`` in the configuration chooses the flags. Pairs that another architecture lacks:
:mod:`polypref.datasets.aligning`; rows that are dropped earlier: :mod:`polypref.sources.dropping`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from polypref.config.diagnostics import EQUAL
from polypref.files.visible import look_equal, may_look_equal


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
    near = may_look_equal(chosen, rejected)
    both = zip(chosen.filter(near).to_pylist(), rejected.filter(near).to_pylist(), strict=True)
    equal = pa.array([look_equal(one, two) for one, two in both], pa.bool_())
    found = pc.replace_with_mask(pa.repeat(False, len(chosen)), near, equal)
    return dropped.mark(found, "answer", "chosen equals rejected")


def mark_flagged(dropped: Dropped, ids: pa.Array, drop: Sequence[str], flags: pa.Table) -> Dropped:
    """Drop the pairs with a flag for which pairs are dropped (``diagnostics.drop``); ``flags``: item_id and flags."""
    by_id = dict(zip(flags["item_id"].to_pylist(), flags["flags"].to_pylist(), strict=True))
    wanted = [flag for flag in drop if flag != EQUAL]
    first = (next((flag for flag in wanted if flag in by_id.get(key, ())), None) for key in ids.to_pylist())
    reasons = pa.array([flag and flag.replace("_", " ") for flag in first], pa.string())
    return dropped.mark(pc.is_valid(reasons), "diagnose", reasons)
