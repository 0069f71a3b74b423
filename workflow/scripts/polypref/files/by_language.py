"""Reading the rows of one language from a Parquet file that is sorted by language."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polypref.files.tables import iter_batches


def iter_language(
    path: str | os.PathLike[str], schema: pa.Schema, columns: Sequence[str], language: str
) -> Iterator[pa.Table]:
    """Iterate over the rows of a language, with one batch in memory; raises the errors of :func:`read_table`.

    ``columns`` contains ``language``. Row groups without this language are not read, by their statistics.
    """
    for table in iter_batches(path, schema, columns, row_groups_of(path, language)):
        yield table.filter(pc.equal(table["language"], language))


def row_groups_of(path: str | os.PathLike[str], language: str) -> list[int] | None:
    """Numbers of the row groups that may contain a language; None (all) if the file has no such column."""
    try:
        metadata = pq.read_metadata(path)
        column = [metadata.schema.column(number).path for number in range(metadata.num_columns)].index("language")
    except (pa.ArrowException, ValueError):
        return None  # reading the file raises the error
    return [number for number in range(metadata.num_row_groups)
            if _may_contain(metadata.row_group(number).column(column).statistics, language)]  # fmt: skip


def _may_contain(statistics: pq.Statistics | None, value: str) -> bool:
    return statistics is None or not statistics.has_min_max or statistics.min <= value <= statistics.max
