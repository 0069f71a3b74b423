"""Read one data file row by row: JSON Lines, JSON, CSV (each also gzip or zstd), or Parquet."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.config.data import COMPRESSED, LOCAL_SUFFIXES, data_format
from polypref.files.tables import BATCH, TableError

Row = dict[str, Any]
Numbered = Iterator[tuple[int, Row]]
"""Rows with their number in the file, counted from 1 (JSON Lines: the line; CSV: without the header)."""
BYTES_AT_ONCE = 1 << 26
"""Approximate maximum size of a batch of a Parquet file, so that very long rows do not fill the memory."""

csv.field_size_limit(1 << 30)


def iter_file(path: Path) -> Numbered:
    """Iterate over the rows of a file without loading all of them (except for .json).

    Raises
    ------
    TableError
        The file does not exist, is damaged or not UTF-8, or a row and the header have different numbers of cells.
    """
    suffix, compression = data_format(path)
    if not suffix or (suffix == ".parquet" and compression):
        raise TableError(
            f"{path}: the file extension {''.join(path.suffixes[-2:]) or '(none)'} is not supported. Unpack or convert "
            f"the file to one of {', '.join(LOCAL_SUFFIXES)} (all but the last also with {' or '.join(COMPRESSED)}), "
            "and name it accordingly."
        )
    try:
        yield from _iter_parquet(path) if suffix == ".parquet" else _iter_text(path, suffix, compression)
    except FileNotFoundError:
        raise TableError(f"{path}: does not exist") from None
    except IsADirectoryError:
        raise TableError(f"{path}: is a folder; expected a file") from None
    except (OSError, EOFError, zlib.error) as error:
        if not compression:
            raise
        raise TableError(f"{path}: is damaged or not a {compression} file ({error}). Compress it again.") from None


def _iter_text(path: Path, suffix: str, compression: str) -> Numbered:
    try:
        with _opened(path, compression) as file:
            if suffix == ".json":
                yield from enumerate(_as_rows(path, _parse(path, "", _decode(file.read(), path))), 1)
            elif suffix == ".csv":
                yield from _iter_csv(path, file)
            else:
                for number, line in enumerate(file, 1):
                    if text := _decode(line, path, number).strip():
                        yield number, _as_row(path, number, text)
    except UnicodeDecodeError:  # raised for a CSV file; decoding all of it finds the row
        with _opened(path, compression) as file:
            _decode(file.read(), path)
        raise


@contextlib.contextmanager
def _opened(path: Path, compression: str) -> Iterator[IO[bytes]]:
    with open(path, "rb") as file:
        if compression == ".zst":
            with pa.CompressedInputStream(pa.PythonFile(file), "zstd") as stream:
                yield io.BufferedReader(stream)
        elif compression:
            with gzip.open(file) as unpacked:
                yield unpacked
        else:
            yield file


def _decode(data: bytes, path: Path, row: int = 1) -> str:
    """Decode a file, or one line of it, as UTF-8 without a byte order mark."""
    try:
        return data.decode("utf-8-sig" if row == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = row + data.count(b"\n", 0, error.start)
        bad = data[error.start : error.start + 1].hex()
        raise TableError(f"{path}, row {line}: is not UTF-8 (byte 0x{bad}). Convert the file to UTF-8.") from None


def _parse(path: Path, where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise TableError(f"{path}{where}: is not JSON ({error.msg} at column {error.colno}).") from None
    except RecursionError:
        raise TableError(f"{path}{where}: is nested too deeply.") from None
    except ValueError as error:  # a number with thousands of digits
        raise TableError(f"{path}{where}: can't be read as JSON ({error}).") from None


def _as_row(path: Path, number: int, line: str) -> Row:
    row = _parse(path, f", row {number}", line)
    if not isinstance(row, dict):
        raise TableError(f"{path}, row {number}: is not a JSON object.")
    return row


def _as_rows(path: Path, value: Any) -> list[Row]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise TableError(
            f"{path}: must be a JSON list of objects; a file with one object per line must be named .jsonl"
        )
    return value


def _iter_csv(path: Path, file: IO[bytes]) -> Numbered:
    reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
    number, line = 0, 1
    try:
        header = next(reader, [])
        if twice := sorted({name for name in header if name and header.count(name) > 1}):
            raise TableError(f"{path}: column {', '.join(twice)} occurs twice in the header.")
        line = reader.line_num + 1
        for number, cells in enumerate(reader, 1):
            line = reader.line_num + 1
            if len(cells) > len(header):
                raise TableError(
                    f"{path}, row {number}: has {len(cells)} cells, the header has {len(header)}. Put cells with "
                    "commas in quotes."
                )
            if cells:
                yield number, dict(itertools.zip_longest(header, cells))
    except csv.Error as error:
        raise TableError(
            f"{path}, row {number + 1} (line {line}): can't be read as CSV ({error}). Check its quotes."
        ) from None


def _iter_parquet(path: Path) -> Numbered:
    before = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            size = max(1, sum(group.total_byte_size for group in groups))
            rows = max(1, min(BATCH, BYTES_AT_ONCE * file.metadata.num_rows // size))
            for batch in file.iter_batches(batch_size=rows):
                yield from enumerate(_rows_of(path, batch, before), before + 1)
                before += batch.num_rows
    except pa.ArrowException as error:
        raise TableError(f"{path}: is not a readable Parquet file ({error})") from None


def _rows_of(path: Path, batch: pa.RecordBatch, before: int) -> list[Row]:
    """Convert a batch to rows; ``before`` is the number of rows in earlier batches."""
    try:
        return _as_text(batch).to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        for number in range(batch.num_rows):
            where = f"{path}, row {before + number + 1}"
            try:
                _as_text(batch.slice(number, 1)).to_pylist()
            except UnicodeDecodeError as error:
                raise TableError(f"{where}: is not UTF-8 ({error.reason}).") from None
            except (ValueError, OverflowError, pa.ArrowException) as error:
                raise TableError(f"{where}: can't be read ({error}).") from None
        raise


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Convert columns of bytes to text: some writers do not mark texts as such."""
    for at, field in enumerate(batch.schema):
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            column = batch.column(at).cast(pa.large_string())
            batch = batch.set_column(at, pa.field(field.name, column.type), column)
    return batch
