"""Read data sets row by row, from local files or from the Hub."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polypref.config.data import is_local_data
from polypref.files.tables import TableError
from polypref.sources.cleaning import readable
from polypref.sources.data_files import iter_file

Row = dict[str, Any]


def read_data(*given: Any, **named: Any) -> list[Row]:
    """Read all rows of a data set into a list; the parameters are those of :class:`Data`."""
    return list(Data(*given, **named))


class Data:
    """The rows of a data set, each with at least the required columns; they are read while iterating.

    Parameters
    ----------
    path : local file (.jsonl, .json, .csv or .parquet, the former three also .gz or .zst), several of them, or the name
        of a data set on the Hub
    required : columns that every row must have
    subset, split, revision : of a data set on the Hub
    columns : {column: its name in the data set}, for columns with other names

    Raises
    ------
    TableError
        While iterating: there are no rows, a column is missing, or a file is damaged. The message names file and row.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        required: Sequence[str],
        subset: str | None = None,
        split: str = "train",
        revision: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.required, self.columns = required, dict(columns or {})
        self.hub = None
        if isinstance(path, str) and not is_local_data(path):
            self.hub = path, subset, split, revision
        self.paths = [path] if isinstance(path, str) else list(path)
        self._starts: list[int] = []
        self._places: list[tuple[str, int]] = []

    def __str__(self) -> str:
        more = len(self.paths) - 1
        return f"{self.paths[0]}{f' and {more} more' if more else ''}" if self.paths else "an empty list of files"

    def place(self, number: int) -> str:
        """Return the file and row of the row with this number among those read so far, counted from 1."""
        at = bisect.bisect_right(self._starts, number) - 1
        if at < 0:
            return f"{self}, row {number}"
        path, first = self._places[at]
        return f"{path}, row {first + number - self._starts[at]}"

    def __iter__(self) -> Iterator[Row]:
        self._starts, self._places = [], []
        number = 0
        for path in self.paths:
            rows = enumerate(_iter_hub(*self.hub), 1) if self.hub else iter_file(Path(path))
            before = number
            expected = None
            for within, row in rows:
                number += 1
                if within != expected:  # the first row of a file, or one after blank lines
                    self._starts.append(number)
                    self._places.append((path, within))
                expected = within + 1
                yield self._named(row, path if number == before + 1 else self.place(number))
            if number == before:
                raise TableError(f"{path}: has no rows. Check the file, or remove it from the configuration.")
        if not number:
            raise TableError(f"{self}: has no rows. Check the path in the configuration.")

    def _named(self, row: Row, where: str) -> Row:
        """Rename the columns of a row, and check that it has the required ones."""
        for name, own in self.columns.items():
            if own not in row:
                raise TableError(
                    f"{where}: column {own} (configured in `columns` for {name}) is missing; found {_names(row)}."
                )
        if self.columns:
            row = {**row, **{name: row[own] for name, own in self.columns.items()}}
        if missing := [name for name in self.required if name not in row]:
            raise TableError(
                f"{where}: column {', '.join(missing)} is missing; found {_names(row)}. If it has another name, set "
                f"columns: {{{missing[0]}: NAME}}."
            )
        return row


def _names(row: Row) -> str:
    return readable(", ".join(map(str, row)))


def _iter_hub(path: str, subset: str | None, split: str, revision: str | None) -> Iterator[Row]:
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
