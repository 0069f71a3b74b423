"""Completions are put in the order of the requests with few rows in memory, and an artifact reads only its own."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_records import record

from polypref.files.digests import digest
from polypref.files.schemas import COMPLETIONS, REQUESTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows
from polypref.requests import completions as completions_module
from polypref.requests.batch import Batch
from polypref.requests.collect import read_answered
from polypref.requests.completions import Buckets, iter_section, section_of, write_completions
from polypref.requests.keys import KeyIndex, keys_of
from polypref.requests.store_files import to_table


def request_id(name: str) -> str:
    return digest("request", name, length=32)


def write_requests(path, names: list[str | None]) -> str:
    rows = [dict.fromkeys(REQUESTS.names) | {"request_id": name and request_id(name), "item_id": str(number),
                                             "messages": [], "checkpoint": "c", "decoding": "{}"}
            for number, name in enumerate(names)]  # fmt: skip
    write_table(path, rows, REQUESTS)
    return str(path)


def table_of(names: list[str], text: str = "text of {}") -> pa.Table:
    return to_table([record(request_id(name), text.format(name)) for name in names])


@settings(deadline=None)
@given(st.lists(st.text("ab0", min_size=1), max_size=30), st.lists(st.text("ab0", min_size=1), max_size=30))
def test_an_index_finds_ids_and_all_their_positions(known, wanted):
    ids = pa.array([request_id(name) if number % 2 else name for number, name in enumerate(known)], pa.string())
    asked = pa.array([*ids.to_pylist(), *wanted], pa.string())
    index = KeyIndex(keys_of(ids))
    assert index.count == len(set(ids.to_pylist()))
    found = index.find(keys_of(asked))
    positions = {key: [n for n, other in enumerate(ids.to_pylist()) if other == key] for key in asked.to_pylist()}
    for key, number in zip(asked.to_pylist(), found.tolist(), strict=True):
        assert (number >= 0) == bool(positions[key])
        if number >= 0:
            slots, owners = index.positions(np.array([number]))
            assert sorted(slots.tolist()) == positions[key] and set(owners.tolist()) == {0}
            assert index.first[number] == positions[key][0] and index.number[positions[key][0]] == number


def test_keys_with_the_same_first_half_are_different():
    ids = pa.array([f"{'0' * 16}{n:016x}" for n in (3, 1, 2)])
    assert KeyIndex(keys_of(ids)).find(keys_of(pa.array([*ids.to_pylist(), "0" * 32]))).tolist() == [2, 0, 1, -1]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(25)), pieces=st.integers(1, 9))
def test_rows_on_disk_are_returned_in_order(tmp_path_factory, order, pieces):
    folder = tmp_path_factory.mktemp("buckets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completions_module, "MEMORY_BYTES", 100)
        patch.setattr(completions_module, "ROW_GROUP", 4)
        with Buckets(25, folder / "rows") as buckets:
            for start in range(0, 25, pieces):
                slots = np.array(order[start : start + pieces])
                buckets.add(pa.table({"text": [str(slot) for slot in slots]}), slots)
            assert any((folder / "rows").iterdir())
            rows = [row["text"] for table in buckets.read() for row in table.to_pylist()]
    assert rows == [str(slot) for slot in range(25)] and not list(folder.iterdir())


def test_each_request_file_has_a_section_with_its_completions(tmp_path):
    contents = (["a", None, "b", "a"], [], ["c", "b"])
    files = [write_requests(tmp_path / f"requests/{number}", names) for number, names in enumerate(contents)]
    batch, output = Batch(files), tmp_path / "completions/m.parquet"
    assert (batch.slots, len(batch)) == (5, 3)
    stored = [table_of(["c", "x"]), table_of(["b", "a", "b"]), table_of(["a"], "a later one")]
    assert not write_completions(output, batch, stored).any()
    assert [row["text"] for row in read_rows(output, COMPLETIONS)] == [f"text of {name}" for name in "abacb"]
    assert [section_of(output, path) for path in files] == [(0, 3), (3, 0), (3, 2)]
    (table,) = iter_section(output, (3, 2), ["request_id"])
    assert table.to_pylist() == [{"request_id": request_id(name)} for name in "cb"]
    first = output.read_bytes()
    write_completions(output, batch, [table_of([name]) for name in "bca"])
    assert output.read_bytes() == first, "the same completions give the same bytes"


def test_a_missing_completion_is_reported_and_no_file_is_written(tmp_path):
    batch = Batch([write_requests(tmp_path / "1", ["a", "b"])])
    missing = write_completions(tmp_path / "m.parquet", batch, [table_of(["b"])])
    assert batch.example(missing) == request_id("a") and not (tmp_path / "m.parquet").exists()


def test_an_artifact_reads_only_its_own_section(tmp_path, monkeypatch):
    monkeypatch.setattr("polypref.files.table_writer.ROW_GROUP", 2)
    files = [write_requests(tmp_path / f"requests/{n}", [f"{n}{m}" for m in range(4)]) for n in range(3)]
    output = tmp_path / "completions/m.parquet"
    write_completions(output, Batch(files), [table_of([f"{n}{m}" for n in range(3) for m in range(4)])])
    read = []
    original = completions_module.read_table
    monkeypatch.setattr(completions_module, "read_table", lambda *args: read.append(tuple(args[3])) or original(*args))
    ((rows, found),) = read_answered(files[1], REQUESTS, str(output))
    assert [found[row["request_id"]]["text"] for row in rows] == [f"text of 1{m}" for m in range(4)]
    assert set(read) == {(2,), (3,)}


def test_requests_that_changed_since_are_searched_in_the_whole_file(tmp_path):
    files = [write_requests(tmp_path / f"requests/{n}", names) for n, names in enumerate((["a", "b"], ["c"]))]
    write_completions(tmp_path / "m.parquet", Batch(files), [table_of(list("abc"))])
    write_requests(tmp_path / "requests/0", ["c", "a"])
    ((rows, found),) = read_answered(files[0], REQUESTS, str(tmp_path / "m.parquet"))
    assert [found[row["request_id"]]["text"] for row in rows] == ["text of c", "text of a"]


def test_a_request_is_located_by_file_and_row(tmp_path):
    files = [write_requests(tmp_path / f"{n}", names) for n, names in enumerate(([None, "a"], [None, "a", "b"]))]
    batch = Batch(files)
    (key,) = batch.index.find(keys_of(pa.array([request_id("b")])))
    assert batch.where(int(key)) == f"{files[1]}, row 3"
