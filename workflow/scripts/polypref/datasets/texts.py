"""Read the texts of a data set in batches of a few thousand pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from polypref.files.schemas import DATASET, DIAGNOSTICS, PAIRS, RATINGS, TEXTS
from polypref.files.tables import iter_batches, read_json, row_count
from polypref.requests.collect import PROVENANCE

READ = pa.schema([TEXTS.field(name) for name in ("item_id", "text", "finish_reason", "error", *PROVENANCE)])
"""Columns of the texts from which data sets are built."""


def read_texts(
    pairs: str, fields: dict[str, dict[str, str | None]], native: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[str, pa.Table, dict[str, pa.Table | None]]]:
    """Read the fields of an architecture in batches of a few thousand pairs of one language.

    Parameters
    ----------
    pairs : file in PAIRS, sorted by ``item_id`` like the files of texts
    fields : {language: {field: file in TEXTS, None for the original}}
    native : {language: file of native prompts in PAIRS}, which take the place of ``pairs`` in these languages

    Yields
    ------
    Language, table in PAIRS, and ``{field: table in READ with these ids, None for the original}``. A row with an
    unknown id is also in one of the batches, so that :func:`polypref.datasets.building.build_dataset` reports it.
    """
    for language in sorted(fields):
        files = {
            field: Ordered(iter_batches(path, TEXTS, READ.names), READ)
            for field, path in fields[language].items()
            if path
        }
        own = native.get(language, pairs)
        left = row_count(own)
        for batch in iter_batches(own, PAIRS):
            left -= len(batch)
            last = batch["item_id"][-1] if left else None
            texts = {field: files[field].until(last) if path else None for field, path in fields[language].items()}
            yield language, batch, texts


def native_files(settings: str | None) -> dict[str, str]:
    """Return the files of an architecture's native prompts by language, from its file of settings."""
    return read_json(settings).get("native", {}) if settings else {}


class Flags:
    """Flags of an architecture's pairs, which are read in the order of languages and pairs.

    ``paths``: files in DIAGNOSTICS, at most one.
    """

    def __init__(self, paths: list[str]) -> None:
        schema = pa.schema([DIAGNOSTICS.field(name) for name in ("item_id", "language", "flags")])
        tables = (table for path in paths for table in iter_batches(path, DIAGNOSTICS, schema.names))
        self._rows = Ordered(tables, schema)
        self._given = bool(paths)

    def of(self, language: str, pairs: pa.Table) -> pa.Table | None:
        """Return item_id and flags of the pairs in a language, or None without diagnostics."""
        if not self._given:
            return None
        table = self._rows.until(pairs["item_id"][-1], language)
        return table.filter(pc.greater(pc.list_value_length(table["flags"]), 0))


class Ratings:
    """The ratings of an architecture's translations, read in the order of languages and pairs.

    ``files``: {language: {field: file in RATINGS}}.
    """

    def __init__(self, files: Mapping[str, Mapping[str, str]]) -> None:
        schema = pa.schema([RATINGS.field(name) for name in ("item_id", "rating")])
        self._files = {
            (language, field): Ordered(iter_batches(path, RATINGS, schema.names), schema)
            for language, fields in files.items()
            for field, path in fields.items()
        }

    def of(self, language: str, pairs: pa.Table) -> dict[str, dict[str, float | None]]:
        """Return {field: {item_id: rating}} of the pairs in a language."""
        found = {}
        for (code, field), file in self._files.items():
            if code == language:
                table = file.until(pairs["item_id"][-1])
                found[field] = dict(zip(table["item_id"].to_pylist(), table["rating"].to_pylist(), strict=True))
        return found


def by_language(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Divide a table that is sorted by language."""
    for language in pc.unique(table["language"]).to_pylist():
        yield language, table.filter(pc.equal(table["language"], language))


def read_kept(diagnostics: str | Path, dataset: str | Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read columns of an architecture's diagnostics, of the pairs in its data set, a few thousand rows at a time."""
    keys = pa.schema([DATASET.field(name) for name in ("item_id", "language")])
    kept = Ordered(iter_batches(dataset, DATASET, keys.names), keys)
    for batch in iter_batches(diagnostics, DIAGNOSTICS, [*keys.names, *columns]):
        for language, rows in by_language(batch):
            ids = kept.until(rows["item_id"][-1], language)["item_id"]
            yield rows.filter(pc.is_in(rows["item_id"], value_set=ids)).select(["language", *columns])


class Ordered:
    """Tables sorted by ``item_id``, or by language and then ``item_id``, that are read sequentially in pieces."""

    def __init__(self, tables: Iterator[pa.Table], schema: pa.Schema) -> None:
        self._tables, self._schema = iter(tables), schema
        self._rest = next(self._tables, None)

    def until(self, last: pa.Scalar | None, language: str | None = None) -> pa.Table:
        """Read the rows up to and including an ``item_id``, or all remaining rows if it is None.

        With a language, the rows are sorted by language first. The rows up to this place are read, and those of the
        language are returned.
        """
        taken = []
        while self._rest is not None:
            ids = self._rest["item_id"]
            wanted = pc.fill_null(pc.is_valid(ids), False) if last is None else pc.less_equal(ids, last)
            if language is not None:
                codes = self._rest["language"]
                wanted = pc.or_(pc.less(codes, language), pc.and_(wanted, pc.equal(codes, language)))
            stop = pc.index(wanted, False).as_py()
            taken.append(self._rest if stop == -1 else self._rest.slice(0, stop))
            if stop != -1:
                self._rest = self._rest.slice(stop)
                break
            self._rest = next(self._tables, None)
        found = pa.concat_tables([self._schema.empty_table(), *taken])
        return found if language is None else found.filter(pc.equal(found["language"], language))
