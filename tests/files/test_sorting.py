"""Sorting rows in runs gives the same rows in the same order as sorting them in memory."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polypref.files import sorting

SCHEMA = pa.schema([("id", pa.string()), ("number", pa.int64()), ("texts", pa.list_(pa.string()))])
ROWS = st.lists(
    st.fixed_dictionaries({
        "id": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        "number": st.none() | st.integers(-9, 9),
        "texts": st.none() | st.lists(st.text("ab", max_size=2), max_size=2),
    })
)  # fmt: skip


@settings(deadline=None)
@given(ROWS, st.integers(1, 5), st.integers(1, 3), st.integers(2, 4))
def test_rows_in_runs_are_sorted_as_in_memory(rows, run, read, runs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "RUN", run)
        patch.setattr(sorting, "READ", read)
        patch.setattr(sorting, "RUNS", runs)
        assert list(sorting.sorted_rows(iter(rows), SCHEMA, "id")) == sorted(rows, key=lambda row: row["id"])


def test_runs_are_deleted_when_the_caller_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(sorting, "RUN", 2)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = ({"id": f"{number % 7}", "number": number, "texts": []} for number in range(20))
    found = sorting.sorted_rows(rows, SCHEMA, "id")
    next(found)
    assert list(Path(tmp_path).rglob("*.arrow"))
    found.close()
    assert not list(Path(tmp_path).iterdir())


def test_the_number_of_open_files_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    """Regression: each run was an open file until the end."""
    monkeypatch.setattr(sorting, "RUN", 2)
    monkeypatch.setattr(sorting, "RUNS", 4)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = [{"id": f"{number * 37 % 200:03}", "number": number, "texts": []} for number in range(200)]
    found = sorting.sorted_rows(iter(rows), SCHEMA, "id")
    assert next(found)["id"] == "000" and len(list(tmp_path.rglob("*.arrow"))) <= 3 * 4
    assert [row["id"] for row in found] == [f"{number:03}" for number in range(1, 200)]
