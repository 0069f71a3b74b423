"""Rows of one language: the same rows whether a file is sorted or not, and only their row groups are read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polypref.files.by_language import iter_language, row_groups_of
from polypref.files.schemas import DROPPED
from polypref.files.table_writer import open_table
from polypref.files.tables import TableError, row_count

COLUMNS = ["item_id", "language"]


def write(path, languages, **options):
    rows = {"item_id": [f"{number:05d}" for number in range(len(languages))], "language": languages}
    columns = {name: rows.get(name, [None] * len(languages)) for name in DROPPED.names}
    pq.write_table(pa.table(columns, schema=DROPPED), path, **options)


def found(path, language):
    tables = list(iter_language(path, DROPPED, COLUMNS, language))
    return [item for table in tables for item in table["item_id"].to_pylist()]


@pytest.mark.parametrize("options", [{}, {"write_statistics": False}])
def test_rows_of_a_language(tmp_path, options):
    path = tmp_path / "rows.parquet"
    languages = ["ar", "de", None, "de", "zh", "ar", "de"]
    for order in (languages, sorted(map(str, languages))):
        write(path, order, row_group_size=2, **options)
        for code in ("ar", "de", "zh", "is"):
            assert found(path, code) == [f"{n:05d}" for n, language in enumerate(order) if language == code]


def test_only_the_row_groups_of_a_language_are_read(tmp_path):
    path = tmp_path / "rows.parquet"
    write(path, ["ar"] * 30 + ["de"] * 25 + ["zh"] * 45, row_group_size=10)
    assert row_groups_of(path, "de") == [3, 4, 5]
    assert row_groups_of(path, "fr") == [5] and found(path, "fr") == []
    write(path, ["ar"] * 30 + ["de"] * 25, row_group_size=10, write_statistics=False)
    assert row_groups_of(path, "de") == [0, 1, 2, 3, 4, 5]


def test_an_empty_file_and_a_damaged_one(tmp_path):
    path = tmp_path / "rows.parquet"
    with open_table(path, DROPPED):
        pass
    assert found(path, "de") == [] and row_count(path) == 0
    path.write_bytes(b"PAR1")
    for read in (row_count, lambda path: found(path, "de")):
        with pytest.raises(TableError, match=f"{path}: cannot be read as a Parquet table"):
            read(path)
