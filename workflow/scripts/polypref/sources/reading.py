"""Read data sets row by row, from local files or from the Hub."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.config.sections import LOCAL_SUFFIXES, is_local_data
from polypref.files.tables import BATCH, TableError

csv.field_size_limit(1 << 30)


def read_data(
    path: str, required: Sequence[str], subset: str | None = None, split: str = "train", revision: str | None = None
) -> list[dict[str, Any]]:
    """Read all rows of a data set into a list; the parameters are those of :func:`iter_data`."""
    return list(iter_data(path, required, subset, split, revision))


def iter_data(
    path: str, required: Sequence[str], subset: str | None = None, split: str = "train", revision: str | None = None
) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a data set, each with at least the required columns, without loading all of them.

    Parameters
    ----------
    path : local .jsonl, .json, .csv or .parquet file, or the name of a data set on the Hub
    required : columns that every row must have
    subset, split, revision : of a data set on the Hub

    Raises
    ------
    TableError
        There are no rows, a column is missing, or a text is not UTF-8. The message names the file and row.
    """
    rows = _iter_local(Path(path)) if is_local_data(path) else _iter_hub(path, subset, split, revision)
    number = 0
    for number, row in enumerate(rows, 1):
        missing = [name for name in required if name not in row]
        if missing:
            where = path if number == 1 else f"{path}, row {number}"
            raise TableError(f"{where}: column {', '.join(missing)} is missing; found {', '.join(map(str, row))}.")
        yield row
    if not number:
        raise TableError(f"{path}: has no rows. Check the file, or take it out of the configuration.")


def _iter_local(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix not in LOCAL_SUFFIXES:
        raise TableError(
            f"{path}: files that end with {path.suffix or 'nothing'} can't be read. Unpack or convert it to one of "
            f"{', '.join(LOCAL_SUFFIXES)}, and name it so."
        )
    try:
        if path.suffix == ".parquet":
            yield from _iter_parquet(path)
        elif path.suffix == ".json":
            yield from _as_rows(path, json.loads(_decode(path.read_bytes(), path)))
        elif path.suffix == ".csv":
            with open(path, encoding="utf-8-sig", newline="") as file:
                yield from csv.DictReader(file)
        else:
            with open(path, "rb") as file:
                for number, line in enumerate(file, 1):
                    if text := _decode(line, path, number).strip():
                        yield _parse_line(path, number, text)
    except UnicodeDecodeError:  # raised for a CSV file; decoding all of it finds the row
        _decode(path.read_bytes(), path)
    except FileNotFoundError:
        raise TableError(f"{path}: does not exist") from None
    except (csv.Error, json.JSONDecodeError) as error:
        raise TableError(f"{path}: can't be read as {path.suffix[1:].upper()}: {error}") from None


def _decode(data: bytes, path: Path, row: int = 1) -> str:
    """Decode a file, or one line of it, as UTF-8 without a byte order mark."""
    try:
        return data.decode("utf-8-sig" if row == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = row + data.count(b"\n", 0, error.start)
        bad = data[error.start : error.start + 1].hex()
        raise TableError(f"{path}, row {line}: is not UTF-8 (byte 0x{bad}). Convert the file to UTF-8.") from None


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise TableError(f"{path}, row {number}: is not JSON ({error.msg} at column {error.colno}).") from None
    if not isinstance(row, dict):
        raise TableError(f"{path}, row {number}: is not a JSON object.")
    return row


def _as_rows(path: Path, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise TableError(
            f"{path}: must be a JSON list of objects; a file with one object per line must be named .jsonl"
        )
    return value


def _iter_parquet(path: Path) -> Iterator[dict[str, Any]]:
    before = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from _rows_of(path, batch, before)
                before += batch.num_rows
    except pa.ArrowException as error:
        raise TableError(f"{path}: is not a readable Parquet file ({error})") from None


def _rows_of(path: Path, batch: pa.RecordBatch, before: int) -> list[dict[str, Any]]:
    """Convert a batch to rows; ``before`` is the number of rows in earlier batches."""
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        for number in range(batch.num_rows):
            try:
                batch.slice(number, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise TableError(f"{path}, row {before + number + 1}: is not UTF-8 ({error.reason}).") from None
        raise


def _iter_hub(path: str, subset: str | None, split: str, revision: str | None) -> Iterator[dict[str, Any]]:
    """Iterate over a split of a data set on the Hub; the token for gated data sets comes from ``HF_TOKEN``."""
    import datasets  # imported only when needed, because the import takes seconds

    try:
        yield from datasets.load_dataset(path, subset, split=split, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        where = f"{path}{f' ({subset})' if subset else ''} at {revision or 'main'}"
        raise TableError(
            f"{where}: can't be read from the Hub: {error}\nCheck the network, or fetch the data set beforehand "
            f"(`snakemake fetch`). If it is gated, accept its licence at "
            f"https://huggingface.co/datasets/{path} and set HF_TOKEN."
        ) from error
