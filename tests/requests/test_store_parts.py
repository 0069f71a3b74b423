"""The parts of a row store: journals are sealed into Parquet files, whose damaged records are skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from store_records import fill, record

from polypref.files.tables import batched, canonical_json
from polypref.requests import row_store as store_module
from polypref.requests import store_files
from polypref.requests.row_store import RowStore


def full(*_) -> None:
    """Stands in for a function that writes to a full disk."""
    raise OSError(28, "No space left on device")


def test_rows_in_several_row_groups_are_found_and_a_damaged_row_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(store_files, "ROW_GROUP_SIZE", 3)
    keys = [f"{n:02d}" for n in range(10)]
    fill(tmp_path, keys)
    (part,) = tmp_path.glob("part-*.parquet")
    rows = pq.read_table(part).to_pylist()
    rows[4]["text"] = "another answer"
    with pq.ParquetWriter(part, store_files.PART_SCHEMA) as file:
        for group in batched(rows, 3):
            file.write_table(pa.Table.from_pylist(group, schema=store_files.PART_SCHEMA))
    messages = []
    found = RowStore(tmp_path, messages.append).get(["00", "01", "02", "04", "05", "09", "missing"])
    assert found == {key: record(key, f"text of {key}") for key in ("00", "01", "02", "05", "09")}
    assert len(messages) == 1 and "the checksum of request 04 does not match" in messages[0]


def test_a_lookup_does_not_import_pandas(tmp_path):
    fill(tmp_path, ["a", "b"])
    lookup = """if True:
        import sys
        from polypref.requests.row_store import RowStore
        print(*RowStore(sys.argv[1]).get('b'), *sys.modules)"""
    env = {**os.environ, "PYTHONPATH": str(Path(store_module.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", lookup, str(tmp_path)], env=env, capture_output=True, text=True)
    found, *modules = done.stdout.split()
    assert found == "b" and "pandas" not in modules


def test_a_large_journal_is_sealed_while_its_writer_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "JOURNAL_BYTES", 1_000)
    killed = RowStore(tmp_path)
    killed.__enter__()
    for n in range(50):
        killed.add(record(f"{n}"))
    killed.flush()
    assert len(list(tmp_path.glob("part-*.parquet"))) > 5
    (journal,) = tmp_path.glob("journal-*")
    assert journal.stat().st_size < 1_000
    assert set(RowStore(tmp_path).get(map(str, range(50)))) == {f"{n}" for n in range(50)}
    killed._close_files()
    with RowStore(tmp_path) as store:
        ids = [row["request_id"] for row in store.records()]
    assert sorted(ids, key=int) == [f"{n}" for n in range(50)], "each record is stored once"


def test_a_journal_is_kept_if_there_is_no_space_for_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "JOURNAL_BYTES", 500)
    with RowStore(tmp_path) as store:
        monkeypatch.setattr(store_module, "write_part", full)
        for n in range(20):
            store.add(record(f"{n}"))
        monkeypatch.undo()
    assert set(RowStore(tmp_path).get(map(str, range(20)))) == {f"{n}" for n in range(20)}
    assert len(list(tmp_path.glob("journal-*"))) > 1


def test_a_part_has_the_same_bytes_if_it_is_written_from_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(store_files, "ROW_GROUP_SIZE", 3)
    keys = [f"{n}" for n in range(10)]
    fill(tmp_path / "ended", keys)
    killed = RowStore(tmp_path / "killed")
    killed.__enter__()
    for key in keys:
        killed.add(record(key, f"text of {key}"))
    killed.flush()
    killed._close_files()
    with RowStore(tmp_path / "killed"):
        pass
    ended, resumed = ((tmp_path / name).glob("part-*.parquet") for name in ("ended", "killed"))
    assert [part.read_bytes() for part in ended] == [part.read_bytes() for part in resumed]


def test_no_record_is_lost_if_there_is_no_space_for_another_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "JOURNAL_BYTES", 500)
    with RowStore(tmp_path) as store:
        monkeypatch.setattr(RowStore, "_open_journal", full)
        for n in range(20):
            store.add(record(f"{n}"))
        monkeypatch.undo()
    assert set(RowStore(tmp_path).get(map(str, range(20)))) == {f"{n}" for n in range(20)}
    assert not list(tmp_path.glob("journal-*")), "they are in a part"


def test_a_damaged_page_costs_only_the_records_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(store_files, "ROW_GROUP_SIZE", 3)
    fill(tmp_path, [f"{n:02d}" for n in range(9)])
    (part,) = tmp_path.glob("part-*.parquet")
    column = pq.ParquetFile(part).metadata.row_group(1).column(1)
    data = bytearray(part.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 8] ^= 1
    part.write_bytes(data)
    messages = []
    found = set(RowStore(tmp_path, messages.append).get([f"{n:02d}" for n in range(9)]))
    assert found >= {"00", "01", "02", "06", "07", "08"} and messages
    assert all(str(part) in line and "will be sent again" in line for line in messages)
    assert part.exists(), "the other row groups are kept"


def test_parts_of_an_older_version_are_verified_and_rewritten(tmp_path):
    """Older parts have no page checksums, and their records' checksums are of JSON with Python's float formats."""
    rows = [record(key, cost_usd=2.4e-05) for key in "abc"]
    old = [{**row, "crc": store_files.zlib.crc32(canonical_json(row).encode())} for row in rows]
    old[1]["text"] = "damaged"
    part = tmp_path / "part-1-1.parquet"
    pq.write_table(pa.Table.from_pylist(old, schema=store_files.PART_SCHEMA), part)
    messages = []
    assert set(RowStore(tmp_path, messages.append).get("abc")) == {"a", "c"} and len(messages) == 1
    with RowStore(tmp_path, messages.append) as store:
        assert set(store.get("abc")) == {"a", "c"}
    with pq.ParquetFile(part) as file:
        assert store_files.has_page_checksums(file)
    assert RowStore(tmp_path).get("a") == {"a": rows[0]}
