"""Results as pandas data frames: read Parquet artifacts, write and read CSV tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from polypref.files.tables import TableError, atomic_write, iter_row_groups, read_table

__all__ = [
    "Categories",
    "OnDemand",
    "Pieces",
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


class Pieces(Iterable[pd.DataFrame]):
    """A file that is read anew, by :func:`read_frames`, each time it is iterated over."""

    def __init__(self, path: str | Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> None:
        self._arguments = path, schema, columns

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return read_frames(*self._arguments)


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


class _Growing:
    """An array to which rows are added; its type becomes that of the largest values.

    Many small arrays that are joined at the end would leave memory that the process does not give back.
    """

    def __init__(self, kind: Any) -> None:
        self._values, self._count = np.empty(1024, kind), 0

    def add(self, values: np.ndarray) -> None:
        old, count, kind = self._values, self._count, np.promote_types(self._values.dtype, values.dtype)
        self._count += len(values)
        if self._count > len(old) or kind != old.dtype:
            size = len(old) if self._count <= len(old) else max(2 * len(old), self._count)
            self._values = np.empty(size, kind)  # memory that was never written to is not used
            self._values[:count] = old[:count]
        self._values[count : self._count] = values

    def rows(self) -> np.ndarray:
        return self._values[: self._count]


class Categories:
    """Collects texts as categories, which take 1 to 4 bytes per row. A missing text is allowed."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes = _Growing(np.int8)

    def add(self, texts: pa.Array | pa.ChunkedArray) -> None:
        """Add rows at the end."""
        texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        encoded = texts.dictionary_encode()
        numbers = [self._known.setdefault(text, len(self._known)) for text in encoded.dictionary.to_pylist()]
        codes = np.array([*numbers, -1], np.min_scalar_type(-len(self._known) - 1))  # the last is for missing texts
        self._codes.add(codes[encoded.indices.fill_null(-1).to_numpy()])

    def column(self) -> pd.Categorical:
        """Return all rows."""
        return pd.Categorical.from_codes(self._codes.rows(), list(self._known))


def read_categories(paths: Iterable[str | Path], schema: pa.Schema, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of several files like :func:`read_all`, with texts as :class:`Categories`.

    Raises
    ------
    TableError
        A text is null, or an error of :func:`polypref.files.tables.read_table`.
    """
    kinds = {name: schema.field(name).type for name in columns}
    texts = {name: Categories() for name in columns if pa.types.is_string(kinds[name])}
    numbers = {name: _Growing(kinds[name].to_pandas_dtype()) for name in columns if name not in texts}
    for path in paths:
        for name, column in zip(columns, read_table(path, schema, columns).itercolumns(), strict=True):
            if name in numbers:
                numbers[name].add(column.to_numpy())
                continue
            if column.null_count:
                raise TableError(f"{path}: {name} is null in {column.null_count:,} rows")
            texts[name].add(column)
    pa.default_memory_pool().release_unused()
    frame = {name: texts[name].column() if name in texts else numbers[name].rows() for name in columns}
    return pd.DataFrame(frame, copy=False)


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
