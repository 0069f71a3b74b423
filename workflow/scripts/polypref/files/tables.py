"""Reading and writing Parquet files: schemas are checked on every read and write, and writes are atomic."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from polypref.files.columns import repeating, take_rows

ROW_GROUP = 10_000
"""Rows per row group; a writer holds one row group in memory."""
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


def to_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Convert rows to a table with a schema; missing keys become null.

    pyarrow's conversion of Python objects imports pandas in order to recognise its types. This takes a quarter of a
    second, half of the run time of a small job, so a small number of rows is converted through JSON, to the same table.
    """
    if not rows:
        return pa.Table.from_batches([], schema)
    if len(rows) > ROW_GROUP // 2 or "pandas" in sys.modules:
        return pa.Table.from_pylist(rows, schema=schema)
    lines = (json.dumps({name: row.get(name) for name in schema.names}, ensure_ascii=False) for row in rows)
    data = "\n".join(lines).encode("utf-8")
    return pyarrow.json.read_json(
        pa.BufferReader(data),
        read_options=pyarrow.json.ReadOptions(block_size=len(data) + 1, use_threads=False),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )


def write_table(path: str | os.PathLike[str], rows: pa.Table | Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    """Write rows with a schema, one row group at a time; the same rows always give the same bytes.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    TableError
        If a column is missing or has another type.
    """
    if isinstance(rows, pa.Table):
        missing = set(schema.names) - set(rows.column_names)
        if missing:
            raise TableError(f"{path}: cannot be written: column {', '.join(sorted(missing))} is missing")
    with open_table(path, schema) as writer:
        for table in _row_groups(rows, schema):
            writer.write(table)
    return writer.rows


class TableWriter:
    """Writes tables or rows to a Parquet file, in row groups of `ROW_GROUP` rows; ``rows``: number of rows so far.

    A row group is compressed in a thread while the caller makes the next one.
    """

    def __init__(self, path: Path, schema: pa.Schema, writer: pq.ParquetWriter) -> None:
        self.rows = 0
        self._path, self._schema, self._writer = path, schema, writer
        self._rest: list[pa.Table] = []
        self._single: list[dict[str, Any]] = []
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def write(self, table: pa.Table) -> None:
        """Add rows; raises the errors of :func:`write_table`."""
        try:
            table = table.select(self._schema.names).replace_schema_metadata(None).cast(self._schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(f"{self._path}: cannot be written: a column has the wrong type: {error}") from error
        self.rows += table.num_rows
        self._waiting += table.num_rows
        self._rest.append(table)
        while self._waiting >= ROW_GROUP:
            waiting = pa.concat_tables(self._rest)
            self.wait()
            self._running = self._thread.submit(self._write, waiting.slice(0, ROW_GROUP))
            self._rest, self._waiting = [waiting.slice(ROW_GROUP)], self._waiting - ROW_GROUP

    def append(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._single.append(row)
        if len(self._single) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._single:
            self.write(to_table(self._single, self._schema))
            self._single = []

    def add_metadata(self, metadata: dict[str, str]) -> None:
        """Add texts to the file's metadata."""
        self._writer.add_key_value_metadata(metadata)

    def wait(self) -> None:
        """Wait for the row group that is being compressed; raises its error, if any."""
        if self._running:
            self._running.result()
        self._running = None

    def finish(self) -> None:
        """Write the last row group; a file without rows has one that is empty."""
        self._flush()
        self.wait()
        if self._waiting or not self.rows:
            self._write(pa.concat_tables([pa.Table.from_batches([], self._schema), *self._rest]))

    def stop(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _write(self, table: pa.Table) -> None:
        # chunks would shift the boundaries of pages, and the same rows would not give the same bytes
        self._writer.write_table(table.combine_chunks())


@contextlib.contextmanager
def open_table(path: str | os.PathLike[str], schema: pa.Schema) -> Iterator[TableWriter]:
    """Write a Parquet file piece by piece; it is renamed to ``path`` on success and deleted on failure."""
    with (
        atomic_write(path) as file,
        pq.ParquetWriter(
            file, schema, compression="zstd", version="2.6", store_schema=False, use_dictionary=repeating(schema)
        ) as parquet,
    ):
        writer = TableWriter(Path(path), schema, parquet)
        try:
            yield writer
            writer.finish()
        finally:
            writer.stop()


def _row_groups(rows: pa.Table | Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of ``ROW_GROUP`` rows, the last with fewer; yield one empty table if there are no rows."""
    if isinstance(rows, pa.Table):
        for start in range(0, max(rows.num_rows, 1), ROW_GROUP):
            yield rows.slice(start, ROW_GROUP)
        return
    groups = batched(rows, ROW_GROUP)
    yield to_table(next(groups, []), schema)
    for group in groups:
        yield to_table(group, schema)


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
