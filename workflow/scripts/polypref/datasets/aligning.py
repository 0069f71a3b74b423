"""Keep only the pairs that the data sets of all architectures have (``diagnostics.align``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from polypref.datasets.texts import Ordered, by_language
from polypref.files.schemas import DATASET, DROPPED, PAIRS
from polypref.files.tables import iter_batches

NUMBERS = pa.schema([PAIRS.field(name) for name in ("item_id", "row")])


def align(own: str | Path, others: Mapping[str, str | Path], pairs: str | Path) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Divide the pairs of a data set into those that all other data sets have, and those that one of them lacks.

    The files are sorted by language and then ``item_id``, and are read together, a few thousand rows at a time.

    Parameters
    ----------
    own : file in DATASET.
    others : architecture to its file in DATASET.
    pairs : file of the base set, in PAIRS.

    Yields
    ------
    Tables in DATASET and in DROPPED.
    """
    keys = pa.schema([DATASET.field(name) for name in ("item_id", "language")])
    readers = {name: Ordered(iter_batches(path, DATASET, keys.names), keys) for name, path in sorted(others.items())}
    base, current = None, None
    for batch in iter_batches(own, DATASET):
        for language, rows in by_language(batch):
            last = rows["item_id"][-1]
            if language != current:
                base, current = Ordered(iter_batches(pairs, PAIRS, NUMBERS.names), NUMBERS), language
            reasons = pa.repeat("", len(rows))
            for name, reader in readers.items():
                lacks = pc.invert(pc.is_in(rows["item_id"], value_set=reader.until(last, language)["item_id"]))
                start = pc.if_else(pc.equal(reasons, ""), "not in data set ", ", ")
                reasons = pc.if_else(lacks, pc.binary_join_element_wise(reasons, start, name, ""), reasons)
            missing = pc.not_equal(reasons, "")
            numbers = base.until(last)
            yield rows.filter(pc.invert(missing)), _dropped(rows.filter(missing), reasons.filter(missing), numbers)


def _dropped(rows: pa.Table, reasons: pa.Array, base: pa.Table) -> pa.Table:
    """Return the pairs that are dropped in DROPPED; ``base``: their ids and row numbers in the base set."""
    numbers = base["row"].take(pc.index_in(rows["item_id"], value_set=base["item_id"]))
    made = {name: rows[name] for name in ("source", "item_id", "language")}
    made |= {"row": numbers, "step": pa.repeat("align", len(rows)), "reason": reasons}
    return pa.table([made[name] for name in DROPPED.names], schema=DROPPED)
