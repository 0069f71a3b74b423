"""The requests of a batch: its files are indexed by request id, and rows are read again when they are needed.

Each row with a request has a slot, a number in the order of files and rows. A request id that occurs in several rows
has one key, which is sent to the engine once. Per request only its id and a few numbers are in memory (30 bytes).
"""

from __future__ import annotations

import bisect
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from polypref.files.columns import integers, is_valid, take_rows
from polypref.files.digests import seed_of
from polypref.files.schemas import REQUESTS
from polypref.files.tables import BATCH, TableError, iter_row_groups, read_table
from polypref.requests.engines import Request
from polypref.requests.keys import KeyIndex, keys_of


@dataclass(frozen=True)
class _Group:
    """A row group of a request file: its slots are ``first`` to ``first + slots``."""

    path: str
    number: int
    first_row: int
    first: int
    slots: int


class Batch:
    """The requests of some files.

    Parameters
    ----------
    paths : files in REQUESTS
    owns : function of keys that returns a boolean array, or None
        Only these requests belong to the batch.

    Attributes
    ----------
    index : keys of all slots
    slots : number of rows with a request
    sections : {path: (first slot, number of slots)}
    """

    def __init__(self, paths: Sequence[str], owns: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self._groups: list[_Group] = []
        self._owns = owns
        self.slots = 0
        self.sections: dict[str, tuple[int, int]] = {}
        keys = [np.empty((0, 2), np.uint64)]
        for path in paths:
            begin, row = self.slots, 0
            for number, table in enumerate(iter_row_groups(path, REQUESTS, ["request_id"])):
                ids = self._with_request(table)["request_id"]
                keys.append(keys_of(ids))
                self._groups.append(_Group(path, number, row, self.slots, len(ids)))
                self.slots += len(ids)
                row += len(table)
            self.sections[path] = (begin, self.slots - begin)
        joined = np.concatenate(keys)
        del keys
        self.index = KeyIndex(joined)

    def __len__(self) -> int:
        """Return the number of different requests."""
        return self.index.count

    def kinds(self, wanted: np.ndarray) -> Counter[tuple[str, str | None, str]]:
        """Count the wanted requests by (checkpoint, revision, decoding).

        ``wanted`` is a boolean array, [key], here and below.
        """
        found: Counter[tuple[str, str | None, str]] = Counter()
        names = ["checkpoint", "revision", "decoding"]
        for table, _ in self._tables(wanted, names):
            columns = [table[name].combine_chunks().dictionary_encode() for name in names]
            codes = zip(*(column.indices.to_pylist() for column in columns), strict=True)
            values = [[*column.dictionary.to_pylist(), None] for column in columns]
            for code, count in Counter(codes).items():
                found[tuple(v[-1 if c is None else c] for v, c in zip(values, code, strict=True))] += count
        return found

    def requests(self, wanted: np.ndarray, decodings: set[str] | None = None) -> Iterator[tuple[int, Request]]:
        """Iterate over (key, request) for the wanted requests with these decodings (all if None), in order."""
        for table, numbers in self._tables(wanted, ["request_id", "messages", "decoding"]):
            for start in range(0, len(numbers), BATCH):
                keys = numbers[start : start + BATCH].tolist()
                columns = (column.to_pylist() for column in table.slice(start, BATCH).columns)  # faster than rows
                for key, name, messages, decoding in zip(keys, *columns, strict=True):
                    if decodings is None or decoding in decodings:
                        yield key, to_request(name, messages, decoding)

    def where(self, key: int) -> str:
        """Return file and row of the first row with a key."""
        slot = int(self.index.first[key])
        group = self._groups[bisect.bisect_right(self._groups, slot, key=lambda group: group.first) - 1]
        ids = read_table(group.path, REQUESTS, ["request_id"], [group.number])["request_id"]
        rows = np.flatnonzero(self._is_request(ids))
        return f"{group.path}, row {group.first_row + int(rows[slot - group.first]) + 1}"

    def example(self, wanted: np.ndarray) -> str:
        """Return the id of the first wanted request."""
        return next(self.requests(wanted))[1].request_id

    def one_checkpoint(self, wanted: np.ndarray) -> tuple[str, str | None, dict[str, int]]:
        """Return path and revision of the checkpoint, which all wanted requests share, and counts by decoding.

        Raises
        ------
        TableError
        """
        kinds = self.kinds(wanted)
        checkpoints = {(path, revision) for path, revision, _ in kinds}
        if len(checkpoints) > 1:
            listing = "; ".join(f"{path} at {revision}" for path, revision in sorted(checkpoints, key=str))
            raise TableError(
                f"the requests of this batch are for several checkpoints: {listing}; delete its request files and run "
                "again"
            )
        return *checkpoints.pop(), {decoding: count for (*_, decoding), count in kinds.items()}

    def _tables(self, wanted: np.ndarray, columns: list[str]) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Read the first rows of the wanted keys, a row group at a time; yield them with their keys."""
        for group in self._groups:
            slots = np.arange(group.first, group.first + group.slots)
            numbers = self.index.number[slots]
            chosen = np.flatnonzero(wanted[numbers] & (self.index.first[numbers] == slots))
            if not len(chosen):
                continue
            names = columns if "request_id" in columns else ["request_id", *columns]
            table = self._with_request(read_table(group.path, REQUESTS, names, [group.number]))
            yield table if len(chosen) == len(table) else take_rows(table, chosen), numbers[chosen]

    def _with_request(self, table: pa.Table) -> pa.Table:
        rows = self._is_request(table["request_id"])
        return table if rows.all() else take_rows(table, np.flatnonzero(rows))

    def _is_request(self, ids: pa.ChunkedArray) -> np.ndarray:
        rows = is_valid(ids)
        if self._owns is not None:
            chosen = np.flatnonzero(rows)
            ids = ids if rows.all() else ids.take(integers(chosen))
            rows[chosen] = self._owns(keys_of(ids))
        return rows


def to_request(request_id: str, messages: list[dict[str, str]], decoding: str) -> Request:
    """Return an engine's request; the seed of a sampled request is derived from its id."""
    parameters = dict(_parsed(decoding))
    if parameters.get("temperature", 0) > 0:
        parameters["seed"] = seed_of(request_id)
    return Request(request_id, messages, parameters)


@functools.lru_cache(1_000)
def _parsed(decoding: str) -> dict[str, Any]:
    return json.loads(decoding)
