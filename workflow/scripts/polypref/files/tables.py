"""Reading Parquet files, whose schemas are checked; atomic writes of any file, and JSON."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polypref.files.columns import take_rows

BATCH = 2_000
"""Rows that a job reads and processes at a time if it does not need all of them at once."""

T = TypeVar("T")


class TableError(ValueError):
    """The content of a file is invalid; the message names the file, the row and the remedy."""


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Write to a temporary file that is renamed to ``path`` on success and deleted on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(
            partial, mode, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else ""
        ) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _opened(
    path: str | os.PathLike[str], schema: pa.Schema, columns: Sequence[str] | None
) -> Iterator[tuple[pq.ParquetFile, pa.Schema]]:
    """Open a Parquet file, check that it has the given columns, and yield it with the schema of these columns."""
    wanted = list(columns or schema.names)
    try:
        # pq.read_table would import pyarrow.dataset, and with it pandas; buffers would be kept until the file is closed
        with pq.ParquetFile(path, pre_buffer=False) as file:
            found = file.schema_arrow.names
            missing = [name for name in wanted if name not in found]
            if missing:
                raise TableError(
                    f"{path}: column {', '.join(missing)} is missing; found {', '.join(found)}. "
                    "Delete the file and run again."
                )
            yield file, pa.schema([schema.field(name) for name in wanted])
    except pa.ArrowException as error:
        raise TableError(
            f"{path}: cannot be read as a Parquet table ({error}). Delete the file and run again."
        ) from error


def read_table(
    path: str | os.PathLike[str],
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    row_groups: Sequence[int] | None = None,
) -> pa.Table:
    """Read a Parquet file, or some of its row groups, and check its columns against a schema.

    Raises
    ------
    TableError
        If the file is not Parquet, or a column is missing or has another type.
    """
    with _opened(path, schema, columns) as (file, wanted):
        groups = range(file.num_row_groups) if row_groups is None else row_groups
        return file.read_row_groups(groups, wanted.names).select(wanted.names).cast(wanted)


def read_rows(path: str | os.PathLike[str], schema: pa.Schema) -> list[dict[str, Any]]:
    """Read a Parquet file as a list of rows."""
    return read_table(path, schema).to_pylist()


def iter_rows(
    path: str | os.PathLike[str],
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    chosen: np.ndarray | None = None,
    items: Container[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a Parquet file, those of a mask or those of some items, with one batch in memory.

    Raises the errors of :func:`read_table`.
    """
    start = 0
    for table in iter_batches(path, schema, columns):
        if chosen is not None:
            start += len(table)
            table = take_rows(table, np.flatnonzero(chosen[start - len(table) : start]))
        if items is not None:
            ids = table["item_id"].to_pylist()
            table = take_rows(table, [number for number, item in enumerate(ids) if item in items])
        yield from table.to_pylist()


def iter_batches(
    path: str | os.PathLike[str],
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    row_groups: Sequence[int] | None = None,
) -> Iterator[pa.Table]:
    """Iterate over tables of :data:`BATCH` rows of a Parquet file, or of some of its row groups.

    Raises the errors of :func:`read_table`.
    """
    with _opened(path, schema, columns) as (file, wanted):
        groups = range(file.num_row_groups) if row_groups is None else row_groups
        # one thread: more would only keep further columns in memory
        for batch in file.iter_batches(BATCH, groups, columns=wanted.names, use_threads=False):
            yield pa.Table.from_batches([batch]).select(wanted.names).cast(wanted)


def iter_row_groups(
    path: str | os.PathLike[str], schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Iterate over the row groups of a Parquet file; raises the errors of :func:`read_table`."""
    with _opened(path, schema, columns) as (file, wanted):
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, wanted.names, use_threads=False).select(wanted.names).cast(wanted)


def row_count(path: str | os.PathLike[str]) -> int:
    """Number of rows of a Parquet file; raises :class:`TableError` if it is not Parquet."""
    with _opened(path, pa.schema([]), None) as (file, _):
        return file.metadata.num_rows


def row_group_sizes(path: str | os.PathLike[str]) -> list[int]:
    """Number of rows in each row group of a Parquet file."""
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Iterate over items, the next of which is read in a thread while the caller processes one."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, iterator, end)
            yield item


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of ``size`` consecutive rows, the last with fewer (``itertools.batched`` of Python 3.12)."""
    iterator = iter(rows)
    while taken := list(itertools.islice(iterator, size)):
        yield taken


def canonical_json(value: Any) -> str:
    """Serialise as JSON with sorted keys and no spaces, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file, for example of settings."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
