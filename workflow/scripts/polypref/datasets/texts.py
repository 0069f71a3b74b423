"""Read the texts of a data set in batches of a few thousand pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pyarrow.parquet as pq

from polypref.files.schemas import PAIRS, TEXTS
from polypref.files.tables import BATCH, batched, iter_rows, read_json

Row = dict[str, Any]


def read_texts(
    pairs: str, fields: dict[str, dict[str, str | None]], native: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[list[Row], dict[str, dict[str, list[Row] | None]]]]:
    """Read the fields of an architecture in batches of a few thousand pairs of one language.

    Parameters
    ----------
    pairs : file in PAIRS, sorted by ``item_id`` like the files of texts
    fields : {language: {field: file in TEXTS, None for the original}}
    native : {language: file of native prompts in PAIRS}, which take the place of ``pairs`` in these languages

    Yields
    ------
    Rows in PAIRS, and ``{language: {field: rows in TEXTS with these ids, None for the original}}``. A row with an
    unknown id is also in one of the batches, so that :func:`polypref.datasets.building.build_dataset` reports it.
    """
    for language in sorted(fields):
        files = {field: _Ordered(path) for field, path in fields[language].items() if path}
        own = native.get(language, pairs)
        left = pq.read_metadata(own).num_rows
        for batch in batched(iter_rows(own, PAIRS), BATCH):
            left -= len(batch)
            last = batch[-1]["item_id"] if left else None
            texts = {field: files[field].until(last) if path else None for field, path in fields[language].items()}
            yield batch, {language: texts}


def native_files(settings: str | None) -> dict[str, str]:
    """Return the files of an architecture's native prompts by language, from its file of settings."""
    return read_json(settings).get("native", {}) if settings else {}


class _Ordered:
    """A file in TEXTS that is read sequentially in pieces."""

    def __init__(self, path: str) -> None:
        self._rows = iter_rows(path, TEXTS)
        self._next = next(self._rows, None)

    def until(self, last: str | None) -> list[Row]:
        """Read the rows up to and including an ``item_id``, or all remaining rows if it is None."""
        taken = []
        while self._next is not None and (last is None or self._next["item_id"] <= last):
            taken.append(self._next)
            self._next = next(self._rows, None)
        return taken
