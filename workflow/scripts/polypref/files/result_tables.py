"""Results as pandas frames: Parquet artifacts in, CSV tables out and in again."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from polypref.files.tables import TableError, atomic_write, read_table

__all__ = ["TableError", "is_error", "name_ids", "read_all", "read_csv", "read_frame", "write_csv"]


def read_frame(path: str | Path, schema: pa.Schema) -> pd.DataFrame:
    """Read one artifact as a frame with its schema's columns; errors as in :func:`polypref.files.tables.read_table`."""
    return read_table(path, schema).to_pandas()


def read_all(paths: Iterable[str | Path], schema: pa.Schema) -> pd.DataFrame:
    """Read several files of one schema below each other; no files give an empty frame with the columns."""
    tables = [read_table(path, schema) for path in paths]
    return (pa.concat_tables(tables) if tables else schema.empty_table()).to_pandas()


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table whole or not at all.

    Floats have ten significant digits, so that the last bits of a sum do not make a new file.
    """
    with atomic_write(path, "w") as file:
        frame.to_csv(file, index=False, float_format="%.10g", lineterminator="\n")


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table that :func:`write_csv` wrote: an empty cell is the empty string in a column of text, else nan.

    Words such as "NA" stay words, because a language or a model may have them for a name.
    """
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    return frame.fillna({name: "" for name in words})


def name_ids(ids: Iterable[object], most: int = 5) -> str:
    """Some ids for an error message, sorted, and how many more there are."""
    ids = sorted(str(item) for item in ids)
    rest = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + rest


def is_error(column: pd.Series) -> pd.Series:
    """True where an ``error`` column names an error: it is null, or empty, where there was none."""
    return column.fillna("").astype(str).ne("")
