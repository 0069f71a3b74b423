"""Sorting of more rows than fit into memory."""

from __future__ import annotations

import heapq
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from polypref.files.tables import batched

RUN = 20_000
"""Rows that are sorted in memory."""
RUNS = 100
"""Sorted runs that are merged at once; each is an open file."""
READ = 100
"""Rows of each sorted run that are in memory while the runs are merged."""

Row = dict[str, Any]


def sorted_rows(rows: Iterable[Row], schema: pa.Schema, by: str) -> Iterator[Row]:
    """Sort rows by a column; of more than `RUN` rows, sorted runs are written to the folder for temporary files.

    Parameters
    ----------
    rows : rows with the columns of the schema.
    by : name of the column.
    """
    key = itemgetter(by)
    with tempfile.TemporaryDirectory(prefix="polypref-sort-") as folder:
        runs, some = _Runs(Path(folder), schema, key), []
        for chunk in batched(rows, RUN):
            if some:
                runs.add(some)
            some = sorted(chunk, key=key)
        yield from heapq.merge(*runs.read(), some, key=key)


class _Runs:
    """Files of sorted rows, in the order of their rows; `RUNS` runs are merged to one of the next level."""

    def __init__(self, folder: Path, schema: pa.Schema, key: Callable[[Row], Any]) -> None:
        self._folder, self._schema, self._key = folder, schema, key
        self._levels: list[list[Path]] = []
        self._numbers = itertools.count()

    def add(self, rows: Iterable[Row], level: int = 0) -> None:
        """Write a run."""
        path = self._folder / f"{next(self._numbers)}.arrow"
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self._schema, options=options) as writer:
            for some in batched(rows, READ):
                writer.write_table(pa.Table.from_pylist(some, self._schema))
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(path)
        if len(self._levels[level]) == RUNS:
            runs, self._levels[level] = self._levels[level], []
            self.add(heapq.merge(*map(_read, runs), key=self._key), level + 1)
            for path in runs:
                path.unlink()

    def read(self) -> list[Iterator[Row]]:
        """Return an iterator over the rows of each run; those with earlier rows are first."""
        return [_read(path) for level in reversed(self._levels) for path in level]


def _read(path: Path) -> Iterator[Row]:
    with pa.OSFile(str(path)) as file:
        run = pa.ipc.open_file(file)
        for number in range(run.num_record_batches):
            yield from run.get_batch(number).to_pylist()
