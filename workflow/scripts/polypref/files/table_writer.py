"""Writing Parquet files: the schema is checked, writes are atomic, and the same rows always give the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from polypref.files.columns import repeating
from polypref.files.tables import TableError, atomic_write, batched

ROW_GROUP = 10_000
"""Rows per row group; a writer holds one row group in memory."""


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
