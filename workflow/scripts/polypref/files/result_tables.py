"""Results as pandas data frames: read Parquet artifacts, write and read CSV tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from polypref.files.tables import TableError, atomic_write, iter_row_groups, read_table

__all__ = [
    "OnDemand",
    "TableError",
    "is_error",
    "read_all",
    "read_categories",
    "read_csv",
    "read_frame",
    "read_frames",
    "write_csv",
]


T = TypeVar("T")


def read_frame(path: str | Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read one artifact as a data frame; raises the errors of :func:`polypref.files.tables.read_table`."""
    return read_table(path, schema, columns).to_pandas()


def read_frames(path: str | Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Read one artifact in pieces of some thousand rows; raises the errors of :func:`read_frame`."""
    for table in iter_row_groups(path, schema, columns):
        yield table.to_pandas()


class OnDemand(Mapping[str, T]):
    """A mapping whose values are computed at each access, so that only one of them is in memory at a time."""

    def __init__(self, functions: Mapping[str, Callable[[], T]]) -> None:
        self._functions = functions

    def __getitem__(self, name: str) -> T:
        return self._functions[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def read_all(paths: Iterable[str | Path], schema: pa.Schema) -> pd.DataFrame:
    """Read and concatenate several files of one schema; without files, return an empty frame with its columns."""
    tables = [read_table(path, schema) for path in paths]
    return (pa.concat_tables(tables) if tables else schema.empty_table()).to_pandas()


def read_categories(paths: Iterable[str | Path], schema: pa.Schema, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of several files like :func:`read_all`, with texts as categories, which take 1 to 4 bytes per row.

    Raises
    ------
    TableError
        A text is null, or an error of :func:`polypref.files.tables.read_table`.
    """
    texts = [name for name in columns if pa.types.is_string(schema.field(name).type)]
    known: dict[str, dict[str, int]] = {name: {} for name in texts}
    parts: dict[str, list[np.ndarray]] = {
        name: [] if name in texts else [np.empty(0, schema.field(name).type.to_pandas_dtype())] for name in columns
    }
    for path in paths:
        for name, column in zip(columns, read_table(path, schema, columns).itercolumns(), strict=True):
            if name in known:
                encoded = column.combine_chunks().dictionary_encode()
                if encoded.null_count:
                    raise TableError(f"{path}: {name} is null in {encoded.null_count:,} rows")
                numbers = [known[name].setdefault(text, len(known[name])) for text in encoded.dictionary.to_pylist()]
                kind = np.min_scalar_type(-len(known[name]) - 1)
                parts[name].append(np.array(numbers, dtype=kind)[encoded.indices.to_numpy()])
            else:
                parts[name].append(column.to_numpy())
    frame = {}
    for name in columns:
        values = np.concatenate(parts.pop(name) or [np.empty(0, np.int8)])
        frame[name] = pd.Categorical.from_codes(values, list(known[name])) if name in known else values
    return pd.DataFrame(frame)


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table atomically.

    Floats are written with ten significant digits, so that rounding noise in a sum does not change the file.
    """
    with atomic_write(path, "w") as file:
        frame.to_csv(file, index=False, float_format="%.10g", lineterminator="\n")


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table written by :func:`write_csv`: empty cells become "" in text columns and nan in others.

    Strings such as "NA" are not parsed as missing values, because a language or a model may have that name.
    """
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    return frame.fillna({name: "" for name in words})


def is_error(column: pd.Series) -> pd.Series:
    """Whether each row of an ``error`` column has an error; without one the cell is null or empty."""
    return column.fillna("").astype(str).ne("")
