"""The texts that a data set is joined from, read some thousand pairs at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from polypref.files.schemas import PAIRS, TEXTS
from polypref.files.tables import BATCH, batched, iter_rows

Row = dict[str, Any]


def read_texts(
    pairs: str, fields: dict[str, dict[str, str | None]]
) -> Iterator[tuple[list[Row], dict[str, dict[str, list[Row] | None]]]]:
    """The texts that an architecture is joined from, some thousand pairs of one language at a time.

    Parameters
    ----------
    pairs : file in PAIRS, in the order of ``item_id``, as are the files of texts that were made from it
    fields : {language: {field: file in TEXTS, None for the original}}

    Yields
    ------
    Rows in PAIRS, and ``{language: {field: rows in TEXTS with these ids, None for the original}}``. A row whose id no
    pair has is in one of them, for :func:`polypref.datasets.building.build_dataset` to name.
    """
    for language in sorted(fields):
        files = {field: _Ordered(path) for field, path in fields[language].items() if path}
        left = pq.read_metadata(pairs).num_rows
        for batch in batched(iter_rows(pairs, PAIRS), BATCH):
            left -= len(batch)
            last = batch[-1]["item_id"] if left else None
            texts = {field: files[field].until(last) if path else None for field, path in fields[language].items()}
            yield batch, {language: texts}


class _Ordered:
    """A file in TEXTS, taken from its start in pieces."""

    def __init__(self, path: str) -> None:
        self._rows = iter_rows(path, TEXTS)
        self._next = next(self._rows, None)

    def until(self, last: str | None) -> list[Row]:
        """The rows up to an ``item_id``, or all that are left."""
        taken = []
        while self._next is not None and (last is None or self._next["item_id"] <= last):
            taken.append(self._next)
            self._next = next(self._rows, None)
        return taken
