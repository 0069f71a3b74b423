"""Reading external tables (CSV, TSV, JSON and Parquet) as data frames, with one-line error messages."""

import csv
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path

import pandas as pd
import pyarrow as pa

from polypref.files.result_tables import TableError

ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet"}
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        kind = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "LATIN1"
        raise TableError(
            f"{path}: line {line} is not UTF-8; convert the file, for example iconv -f {kind} -t UTF-8"
        ) from error


def _check_head(head: list[str], separator: str, path: Path) -> None:
    other = next((mark for mark in SEPARATORS if mark != separator and mark in head[0]), None)
    if len(head) == 1 and other:
        remedy = "name it .tsv" if other == "\t" else "save it with commas, or with tabs and the ending .tsv"
        raise TableError(
            f"{path}: the columns are separated by {SEPARATORS[other]}, not {SEPARATORS[separator]}; {remedy}"
        )
    twice = next((name for name in head if head.count(name) > 1), None)
    if twice is not None:
        raise TableError(f"{path}: two columns are named {twice!r}; rename one of them")


def _separated(text: str, separator: str, path: Path) -> pd.DataFrame:
    """Parse CSV or TSV with all values as text, because 1.50 in a translation must not become 1.5."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    start = 1
    try:
        for row in filter(None, reader):
            if not rows:
                _check_head(row, separator, path)
            elif len(row) != len(rows[0]):
                raise TableError(
                    f"{path}: the row that ends in line {reader.line_num} has {len(row)} fields, the first line "
                    f"{len(rows[0])}; put texts that contain {SEPARATORS[separator]} in double quotes"
                )
            rows.append(row)
            start = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{path}: the row that begins in line {start} can't be read ({error}); close every quote, and double those "
            "inside a text"
        ) from error
    return pd.DataFrame(rows[1:], columns=rows[0], dtype=str)


def _objects(values: Iterable[tuple[str, object]], path: Path) -> pd.DataFrame:
    rows = []
    for where, value in values:
        if not isinstance(value, dict):
            raise TableError(f"{path}: {where} is {json.dumps(value)[:40]}; expected an object with one key per column")
        rows.append(value)
    if not rows:
        raise TableError(f"{path}: there are no rows")
    return pd.DataFrame(rows, dtype=object)  # otherwise 1 would become 1.0 in a column with a null


def _json_lines(text: str, path: Path) -> pd.DataFrame:
    def parsed() -> Iterator[tuple[str, object]]:
        for number, line in enumerate(StringIO(text), 1):  # str.splitlines() also splits inside JSON strings
            if line.strip():
                try:
                    yield f"line {number}", json.loads(line)
                except ValueError as error:
                    raise TableError(f"{path}: line {number} is not JSON ({error}); is the file truncated?") from error

    return _objects(parsed(), path)


def _json_list(text: str, path: Path) -> pd.DataFrame:
    try:
        found = json.loads(text)
    except ValueError as error:
        hint = "name a file with one object per line .jsonl" if "Extra data" in str(error) else "is the file truncated?"
        raise TableError(f"{path}: is not JSON ({error}); {hint}") from error
    if not isinstance(found, list):
        raise TableError(f"{path}: expected a list of objects, one per row (or a .jsonl file with one object per line)")
    return _objects(((f"row {number}", value) for number, value in enumerate(found, 1)), path)


def _read(path: Path) -> pd.DataFrame:
    packed = path.suffix.lower() == ".gz"
    kind = ENDINGS.get((Path(path.stem) if packed else path).suffix.lower())
    if kind is None or (packed and kind == "parquet"):
        raise TableError(
            f"{path}: expected a file name that ends in {', '.join(ENDINGS)}; all but .parquet may be followed by .gz"
        )
    if kind == "parquet":
        return pd.read_parquet(path)
    with gzip.open(path) if packed else path.open("rb") as file:
        text = _text(file.read(), path)
    if not text.strip():
        raise TableError(f"{path}: is empty; expected rows with named columns")
    if kind in ("csv", "tsv"):
        return _separated(text, "," if kind == "csv" else "\t", path)
    return (_json_lines if kind == "jsonl" else _json_list)(text, path)


def read_file(path: str | Path, columns: Mapping[str, str] = {}) -> pd.DataFrame:
    """Read CSV, TSV, JSON Lines or a JSON list of objects (all optionally with .gz), or Parquet, by file extension.

    Parameters
    ----------
    path : the file, in UTF-8. All values of a CSV file are text: "NA" is a word, and an empty cell is an empty string.
    columns : for each column to be renamed, this package's name and the name in the file.

    Raises
    ------
    TableError
        The extension is unknown, the file cannot be read (the message names the line or row), or a column to be renamed
        does not exist.
    """
    path = Path(path)
    try:
        frame = _read(path)
    except FileNotFoundError as error:
        raise TableError(f"{path}: the file does not exist") from error
    except IsADirectoryError as error:
        raise TableError(f"{path}: is a folder; expected a file") from error
    except (pa.ArrowInvalid, EOFError, gzip.BadGzipFile) as error:
        raise TableError(f"{path}: is not a {path.suffix[1:]} file, or is truncated; copy or save it again") from error
    except (OSError, ImportError, pa.ArrowException) as error:
        raise TableError(f"{path}: can't be read: {error}") from error
    absent = [theirs for theirs in columns.values() if theirs not in frame]
    if absent:
        raise TableError(f"{path}: no column {', '.join(absent)}; found {', '.join(map(str, frame.columns))}")
    taken = [name for name, theirs in columns.items() if name in frame and name != theirs]
    return frame.drop(columns=taken).rename(columns={theirs: name for name, theirs in columns.items()})
