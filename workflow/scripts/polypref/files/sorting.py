"""Sorting of more rows than fit into memory."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from polypref.files.tables import batched

RUN = 20_000
"""Rows that are sorted in memory."""
READ = 100
"""Rows of each sorted run that are in memory while the runs are merged."""


def sorted_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema, by: str) -> Iterator[dict[str, Any]]:
    """Sort rows by a column; of more than `RUN` rows, sorted runs are written to the folder for temporary files.

    Parameters
    ----------
    rows : rows with the columns of the schema.
    by : name of the column.
    """
    key, runs = itemgetter(by), []
    with tempfile.TemporaryDirectory(prefix="polypref-sort-") as folder:
        some: list[dict[str, Any]] = []
        for chunk in batched(rows, RUN):
            if some:
                runs.append(_write_run(some, schema, Path(folder, f"{len(runs)}.arrow")))
            some = sorted(chunk, key=key)
        yield from heapq.merge(*map(_read_run, runs), some, key=key)


def _write_run(rows: list[dict[str, Any]], schema: pa.Schema, path: Path) -> Path:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema), READ)
    return path


def _read_run(path: Path) -> Iterator[dict[str, Any]]:
    with pa.memory_map(str(path)) as file:
        run = pa.ipc.open_file(file)
        for number in range(run.num_record_batches):
            yield from run.get_batch(number).to_pylist()
