"""Read the preference pairs that the reader shows: all pairs of a run or a sample, one language at a time."""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from polypref.datasets.diagnostics import FLAGS
from polypref.files import schemas
from polypref.files.by_language import iter_language
from polypref.files.columns import take_rows
from polypref.files.schemas import FIELDS
from polypref.files.tables import BATCH, batched, iter_batches, iter_rows, row_count
from polypref.report.sample import Sample, draw

COLUMNS = ("item_id", "language", *FIELDS, *(f"{field}_provenance" for field in FIELDS))
"""Columns of a data set that are shown in the reader."""
SIGNALS = tuple(f"{field}_{signal}" for field in FIELDS for signal in ("language", "tokens", "rating"))
BITS = {flag: 1 << number for number, flag in enumerate(FLAGS)}


@dataclass(frozen=True)
class Preferences:
    """Files of preference pairs, and how many of their rows are shown.

    Parameters
    ----------
    pairs : English base set, schema PAIRS, in the order of the reader.
    datasets, dropped, diagnostics : architecture to file in DATASET, DROPPED and DIAGNOSTICS; a file that is not sorted
        by language is read once for each language.
    languages : ISO 639-1 codes.
    most : largest number of rows that are shown: each pair in English, and in each language and architecture. Of more
        rows, those of a random sample of the pairs are shown.
    native : files of native prompts in PAIRS, which are named by their language.
    rated : whether the diagnostics have ratings (RATED_DIAGNOSTICS).
    """

    pairs: Path
    datasets: Mapping[str, Path]
    dropped: Mapping[str, Path]
    diagnostics: Mapping[str, Path]
    languages: Sequence[str]
    most: int
    native: Sequence[Path] = ()
    rated: bool = False

    @functools.cached_property
    def pair_count(self) -> int:
        """Number of pairs in the base set."""
        return row_count(self.pairs)

    @functools.cached_property
    def sources(self) -> list[str]:
        """Sources of the base set in alphabetical order."""
        return sorted(
            {name for table in iter_batches(self.pairs, schemas.PAIRS, ["source"])
             for name in pc.unique(table["source"]).to_pylist()}
        )  # fmt: skip

    @functools.cached_property
    def sample(self) -> Sample:
        """The pairs and native prompts that are shown."""
        native = sum(map(row_count, self.native))
        total = self.pair_count + native
        versions = self.pair_count * len(self.languages) + native
        rows = total + versions * len(self.datasets)
        if rows <= self.most:
            return Sample(total, total)
        tables = (
            table for path in (self.pairs, *self.native) for table in iter_batches(path, schemas.PAIRS, ["item_id"])
        )
        ids = (item for table in tables for item in table["item_id"].to_pylist())
        drawn = draw(ids, max(1, total * self.most // rows))
        return Sample(len(drawn), total, pa.array(drawn))

    def items(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Iterate over the shown pairs and native prompts (schema PAIRS), each with its language, empty if English."""
        shown = None if self.sample.ids is None else set(self.sample.ids.to_pylist())
        for path in (self.pairs, *self.native):
            for row in iter_rows(path, schemas.PAIRS, items=shown):
                yield row, "" if path == self.pairs else path.stem

    def of_language(self, language: str) -> list["Versions"]:
        """Read the shown rows of each architecture in a language."""
        return [self._versions(name, language) for name in self.datasets]

    def _versions(self, name: str, language: str) -> "Versions":
        signals = [signal for signal in SIGNALS if self.rated or not signal.endswith("_rating")]
        counts = Counter()

        def count(signs: pa.Table) -> None:
            flags = pc.value_counts(pc.list_flatten(signs["flags"]))
            counts.update({flag["values"]: flag["counts"] for flag in flags.to_pylist()})
            counts["any"] += pc.sum(pc.greater(pc.list_value_length(signs["flags"]), 0)).as_py() or 0

        def read(path: Path, schema: pa.Schema, columns: Sequence[str], counted: Any) -> pa.Table:
            found = []
            for table in iter_language(path, schema, columns, language):
                if not self.sample.whole:
                    counted(table)
                found.append(self.sample.of(table))
            return pa.concat_tables(found or [schema.empty_table().select(columns)])

        diagnostics = schemas.RATED_DIAGNOSTICS if self.rated else schemas.DIAGNOSTICS
        return Versions(
            read(self.datasets[name], schemas.DATASET, COLUMNS, lambda kept: None),
            read(self.dropped[name], schemas.DROPPED, ["item_id", "language", "step", "reason"],
                 lambda left: counts.update({"left": len(left)})),
            read(self.diagnostics[name], diagnostics, ["item_id", "language", "flags", *signals], count),
            counts,
        )  # fmt: skip


class Versions:
    """The shown rows of one architecture in one language.

    Attributes
    ----------
    flags : {item_id: bits of `BITS`} of the flagged pairs
    reasons : {item_id: step and reason} of the dropped pairs
    counts : number of pairs with each flag, with any flag (``any``) and dropped (``left``), shown or not; empty if all
        pairs are shown
    """

    def __init__(self, kept: pa.Table, left: pa.Table, signs: pa.Table, counts: Mapping[str, int]) -> None:
        self._kept = kept.combine_chunks()
        self._signs = signs.drop_columns("flags").combine_chunks()
        flags = zip(signs["item_id"].to_pylist(), signs["flags"].to_pylist(), strict=True)
        self.flags = {item: sum(BITS[flag] for flag in names) for item, names in flags if names}
        self.reasons = {row["item_id"]: f"{row['step']}: {row['reason']}" for row in left.to_pylist()}
        self.counts = counts

    def rows(self, ids: Sequence[str]) -> Iterator[tuple[dict[str, Any] | None, list[Any] | None]]:
        """Iterate over the pairs with these ids: the row if it is in the data set, and its `SIGNALS` if it has any."""
        for kept, signs in zip(_rows_of(self._kept, ids), _rows_of(self._signs, ids), strict=True):
            yield kept, signs and [signs.get(name) for name in SIGNALS]


def _rows_of(table: pa.Table, ids: Sequence[str]) -> Iterator[dict[str, Any] | None]:
    """Iterate over the rows with some ids, None without a row; a batch of them are Python objects at a time."""
    places = {item: place for place, item in enumerate(table["item_id"].to_pylist())}
    for some in batched(ids, BATCH):
        found = [places.get(item) for item in some]
        taken = take_rows(table, [place for place in found if place is not None])
        values = zip(*map(_values, taken.columns), strict=True)
        for place in found:
            yield None if place is None else dict(zip(table.column_names, next(values), strict=True))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Convert a column to Python objects, texts by way of numpy, which is faster."""
    return column.to_numpy().tolist() if pa.types.is_string(column.type) else column.to_pylist()
