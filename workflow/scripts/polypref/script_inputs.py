"""What more than one script reads in the same way."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.asking import Asked
from polypref.schemas import COMPLETIONS, PAIRS, TEXTS
from polypref.tables import BATCH, ROW_GROUP, batched, iter_rows, read_table, row_group_sizes

Row = dict[str, Any]


def read_weights(params: dict[str, Any], identity: Sequence[str]) -> tuple[str, str | None]:
    """Path and Hub revision of a checkpoint, as ``from_pretrained`` takes them; a local folder has no revision."""
    if identity:
        return json.loads(Path(identity[0]).read_text(encoding="utf-8"))["path"], None
    return params["path"], params["revision"]


def read_asked(params: dict[str, Any], identity: Sequence[str]) -> Asked:
    """The model that requests go to: a rule's params, with path and digest of a local checkpoint from its file."""
    asked = dict(params)
    if identity:
        found = json.loads(Path(identity[0]).read_text(encoding="utf-8"))
        asked |= {"path": found["path"], "revision": found["revision"], "local": True}
    return Asked(**asked)


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
    pair has is in one of them, for :func:`polypref.building.build_dataset` to name.
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


def read_answered(requests: str, schema: pa.Schema, completions: str) -> Iterator[tuple[list[Row], dict[str, Row]]]:
    """The requests of a file with their completions out of those of a whole batch, a row group's number at a time.

    Yields
    ------
    Rows in ``schema``, all parts of an item together, and ``{request_id: row in COMPLETIONS}`` with their completions.
    """
    wanted = {row["request_id"] for row in iter_rows(requests, schema, ["request_id"])}
    ids = (row["request_id"] for row in iter_rows(completions, COMPLETIONS, ["request_id"]))
    position = {key: number for number, key in enumerate(ids) if key in wanted}
    starts = [0, *itertools.accumulate(row_group_sizes(completions))]
    for rows in _whole_items(iter_rows(requests, schema)):
        found = {}
        numbers = sorted({position[row["request_id"]] for row in rows if row["request_id"] in position})
        for group, members in itertools.groupby(numbers, key=lambda number: bisect.bisect_right(starts, number) - 1):
            table = read_table(completions, COMPLETIONS, row_groups=[group])
            for first, last in _runs(members):
                run = table.slice(first - starts[group], last - first + 1).to_pylist()
                found |= {row["request_id"]: row for row in run}
        yield rows, found


def _whole_items(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Consecutive rows in lists of ROW_GROUP or a little more, that end where an item ends."""
    taken: list[Row] = []
    for row in rows:
        if len(taken) >= ROW_GROUP and row["item_id"] != taken[-1]["item_id"]:
            yield taken
            taken = []
        taken.append(row)
    if taken:
        yield taken


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    first = last = None
    for number in numbers:
        if last is not None and number != last + 1:
            yield first, last
            first = None
        first = number if first is None else first
        last = number
    if last is not None:
        yield first, last
