"""Reading data sets: files of one's own, or sets on the Hub, as rows with their position."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.config import is_local_data
from polypref.tables import TableError

csv.field_size_limit(1 << 30)


def read_data(
    path: str, required: Sequence[str], subset: str | None = None, split: str = "train", revision: str | None = None
) -> list[dict[str, Any]]:
    """Rows of a data set, each with at least the required columns.

    Parameters
    ----------
    path : local .jsonl, .json, .csv or .parquet file, or the name of a data set on the Hub
    required : columns that must be there
    subset, split, revision : of a data set on the Hub

    Raises
    ------
    TableError
        When there is no row, a column is missing, or a text is not UTF-8; it names file and row.
    """
    rows = _read_local(Path(path)) if is_local_data(path) else _read_hub(path, subset, split, revision)
    if not rows:
        raise TableError(f"{path}: has no rows. Check the file, or take it out of the configuration.")
    missing = [name for name in required if name not in rows[0]]
    if missing:
        raise TableError(f"{path}: column {', '.join(missing)} is missing; found {', '.join(map(str, rows[0]))}.")
    for number, row in enumerate(rows, 1):
        gone = [name for name in required if name not in row]
        if gone:
            raise TableError(f"{path}, row {number}: column {', '.join(gone)} is missing; found {', '.join(row)}.")
    return rows


def _read_local(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path)
        text = _decode(path)
        if path.suffix == ".csv":
            return list(csv.DictReader(io.StringIO(text, newline="")))
        if path.suffix == ".json":
            return _as_rows(path, json.loads(text))
        return [_parse_line(path, n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    except FileNotFoundError:
        raise TableError(f"{path}: does not exist") from None
    except (csv.Error, json.JSONDecodeError) as error:
        raise TableError(f"{path}: can't be read as {path.suffix[1:].upper()}: {error}") from None


def _decode(path: Path) -> str:
    """The text of a file, which must be UTF-8; a byte order mark is left out."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
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
        raise TableError(f"{path}: must be a JSON list of objects; for one object per line name it .jsonl")
    return value


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise TableError(f"{path}: is not a readable Parquet file ({error})") from None
    try:
        return table.to_pylist()
    except UnicodeDecodeError:
        for number in range(table.num_rows):
            try:
                table.slice(number, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise TableError(f"{path}, row {number + 1}: is not UTF-8 ({error.reason}).") from None
        raise


def _read_hub(path: str, subset: str | None, split: str, revision: str | None) -> list[dict[str, Any]]:
    """A split of a data set on the Hub; the token for gated sets comes from ``HF_TOKEN``."""
    import datasets  # takes seconds to import: only where the Hub is read

    try:
        return datasets.load_dataset(path, subset, split=split, revision=revision).to_list()
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        where = f"{path}{f' ({subset})' if subset else ''} at {revision or 'main'}"
        raise TableError(
            f"{where}: can't be read from the Hub: {error}\nIs this machine online, or was the set fetched before? A "
            f"gated set needs its licence accepted at https://huggingface.co/datasets/{path} and HF_TOKEN set."
        ) from error
