"""Reading and writing Parquet: schemas checked at the border, files written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq


class TableError(ValueError):
    """A file does not hold what it should; the message names file, row and remedy."""


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file that appears under its name when the block ends well, and not at all when it does not."""
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


def write_table(path: str | os.PathLike[str], rows: pa.Table | Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows in a schema: the same rows give the same bytes.

    Raises
    ------
    TableError
        When a column is missing or of another type.
    """
    if not isinstance(rows, pa.Table):
        rows = pa.Table.from_pylist(list(rows), schema=schema)
    missing = set(schema.names) - set(rows.column_names)
    if missing:
        raise TableError(f"{path}: can't be written, column {sorted(missing)} is missing")
    try:
        table = rows.select(schema.names).replace_schema_metadata(None).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(f"{path}: can't be written, a column has another type: {error}") from error
    with atomic_write(path) as file:
        pq.write_table(table, file, compression="zstd", version="2.6", store_schema=False)


def read_table(path: str | os.PathLike[str], schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file that must have the columns of a schema.

    Raises
    ------
    TableError
        When the file is no Parquet, or a column is missing or of another type.
    """
    wanted = list(columns or schema.names)
    try:
        found = pq.read_schema(path)
        missing = [name for name in wanted if name not in found.names]
        if missing:
            raise TableError(
                f"{path}: column {', '.join(missing)} is missing; found {', '.join(found.names)}. "
                "Delete the file and run again."
            )
        table = pq.read_table(path, columns=wanted)
        return table.cast(pa.schema([schema.field(name) for name in wanted]))
    except pa.ArrowException as error:
        raise TableError(f"{path}: is not a readable table ({error}). Delete the file and run again.") from error


def read_rows(path: str | os.PathLike[str], schema: pa.Schema) -> list[dict[str, Any]]:
    """Read a Parquet file as a list of rows."""
    return read_table(path, schema).to_pylist()


def by_id(rows: Iterable[dict[str, Any]], what: str, key: str = "item_id") -> dict[str, dict[str, Any]]:
    """Index rows by an id that must be unique.

    Raises
    ------
    TableError
        Naming the ids that occur twice.
    """
    index: dict[str, dict[str, Any]] = {}
    double = []
    for row in rows:
        if row[key] in index:
            double.append(row[key])
        index[row[key]] = row
    if double:
        raise TableError(f"{what}: {key} occurs more than once: {_some(double)}")
    return index


def require_same_ids(expected: Iterable[str], found: Iterable[str], what: str) -> None:
    """Raise when two sets of ids differ, naming those that do; nothing is ever cut to the shorter list."""
    expected, found = set(expected), set(found)
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing or extra:
        parts = [f"{len(ids)} {word} ({_some(ids)})" for word, ids in (("missing", missing), ("extra", extra)) if ids]
        raise TableError(f"{what}: {' and '.join(parts)}. Delete the file and run again.")


def _some(ids: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(list(ids)[:most])
    return shown + (f" and {len(ids) - most} more" if len(ids) > most else "")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
