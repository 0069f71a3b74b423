"""The row store never loses a flushed completion and never returns a damaged one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from full_disk import room_for
from hypothesis import given, settings
from hypothesis import strategies as st
from store_records import fill, record

from polypref.requests import row_store as store_module
from polypref.requests.row_store import RowStore, StoreError


def test_added_completions_are_found(tmp_path):
    fill(tmp_path, ["a", "b"])
    found = RowStore(tmp_path).get(["a", "b", "c"])
    assert found == {key: record(key, f"text of {key}") for key in ("a", "b")}


def test_flushed_rows_survive_a_writer_that_does_not_close_the_store(tmp_path):
    store = RowStore(tmp_path)
    store.__enter__()
    store.add(record("a"))
    store.flush()
    store.add(record("lost"))
    assert set(RowStore(tmp_path).get(["a", "lost"])) == {"a"}, "the store is readable while it is written"
    store._close_files()
    fill(tmp_path, ["b"])
    assert set(RowStore(tmp_path).get(["a", "b"])) == {"a", "b"}
    assert not list(tmp_path.glob("journal-*")), "the journal is sealed"


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_truncated_journal_keeps_every_complete_record(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("store")
    store = RowStore(folder)
    store.__enter__()
    for key in "abc":
        store.add(record(key))
    store.flush()
    (journal,) = folder.glob("journal-*")
    data = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    journal.write_bytes(data[:cut])
    whole = sum(end <= cut for end in ends)
    messages = []
    assert sorted(RowStore(folder, messages.append).get("abc")) == list("abc")[:whole]
    assert bool(messages) == (cut not in (0, *ends) and cut < len(data))
    store._close_files()


def test_a_damaged_journal_line_is_ignored(tmp_path):
    store = RowStore(tmp_path)
    store.__enter__()
    for key in "ab":
        store.add(record(key, "right"))
    store.flush()
    (journal,) = tmp_path.glob("journal-*")
    journal.write_bytes(journal.read_bytes().replace(b"right", b"wrong", 1))
    messages = []
    assert set(RowStore(tmp_path, messages.append).get("ab")) == {"b"}
    assert "line 1: the checksum does not match" in messages[0]
    store._close_files()


def test_a_damaged_part_is_renamed(tmp_path):
    fill(tmp_path, ["a"])
    (part,) = tmp_path.glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:50])
    messages = []
    assert RowStore(tmp_path, messages.append).get(["a"]) == {}
    assert (
        "renamed to part-" in messages[0]
        and list(tmp_path.glob("*.corrupt-*"))
        and not list(tmp_path.glob("part-*.parquet"))
    )


def test_one_writer_at_a_time(tmp_path):
    with (
        RowStore(tmp_path),
        pytest.raises(StoreError, match=r"process .* is writing to this row store; wait"),
    ):
        fill(tmp_path, ["a"], patience_s=0)
    fill(tmp_path, ["a"])


WRITER = """
import sys, time
from polypref.requests.row_store import RowStore
record = dict(text="x", finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprobs=None, cost_usd=0.0)
with RowStore(sys.argv[1], shard=sys.argv[2] == "shard") as store:
    store.add({**record, "request_id": "a", "error": None})
    store.flush()
    print("writing", flush=True)
    time.sleep(float(sys.argv[3]))
"""


def writer(folder, kind, seconds):
    path = str(Path(store_module.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), kind, str(seconds)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("kind", ["job", "shard"])
def test_a_run_waits_for_the_writer_of_an_earlier_run_and_reuses_its_rows(tmp_path, kind):
    orphan = writer(tmp_path, kind, 1.5)
    messages = []
    with RowStore(tmp_path, report=messages.append) as store:
        assert orphan.wait() == 0 and set(store.get("a")) == {"a"}
    assert any(line.startswith("waiting for process") for line in messages)


def test_shards_write_at_the_same_time_and_do_not_seal_the_journals_of_others(tmp_path):
    with RowStore(tmp_path) as whole:
        with RowStore(tmp_path, shard=True) as one, RowStore(tmp_path, shard=True) as two:
            one.add(record("a"))
            two.add(record("b"))
        assert set(whole.get("ab")) == {"a", "b"}


def test_the_rows_of_a_killed_writer_are_available_immediately(tmp_path):
    killed = writer(tmp_path, "job", 60)
    killed.kill()
    killed.wait()
    messages = []
    with RowStore(tmp_path, report=messages.append) as store:
        assert set(store.get("a")) == {"a"} and not messages


def journal_size(folder) -> int:
    return sum(path.stat().st_size for path in folder.glob("journal-*"))


def test_stored_rows_survive_a_full_disk(tmp_path):
    with RowStore(tmp_path) as store:
        store.add(record("a"))
        store.flush()
        with room_for(2 * journal_size(tmp_path) + 20):
            for name in "bcd":
                store.add(record(name))
            with pytest.raises(StoreError, match=r"can't be stored .*, then run"):
                store.flush()
    messages = []
    stored = set(RowStore(tmp_path, messages.append).get("abcd"))
    assert stored == {"a", "b"} and not messages, "complete records are kept, and no incomplete one is left"


def test_a_reader_loses_nothing_if_a_journal_is_sealed_meanwhile(tmp_path, monkeypatch):
    store = RowStore(tmp_path)
    store.__enter__()
    store.add(record("a"))
    store.flush()
    listed = RowStore.journals

    def seal_after_listing(self):
        found = listed(self)
        if store._journal is not None:
            store.__exit__()
        return found

    reader = RowStore(tmp_path)
    monkeypatch.setattr(RowStore, "journals", seal_after_listing)
    assert set(reader.get("a")) == {"a"}


def test_journal_lines_are_a_checksum_and_json(tmp_path):
    store = RowStore(tmp_path)
    store.__enter__()
    store.add(record("a", 'a "text"\nin two lines'))
    store.flush()
    (journal,) = tmp_path.glob("journal-*")
    (line,) = journal.read_text().splitlines()
    assert json.loads(line[9:])["text"] == 'a "text"\nin two lines'
    store._close_files()


def test_a_run_waits_for_two_shards_of_an_earlier_job(tmp_path):
    orphans = [writer(tmp_path, "shard", seconds) for seconds in (2.5, 1.0)]
    with RowStore(tmp_path) as store:
        assert all(orphan.wait() == 0 for orphan in orphans) and set(store.get("a")) == {"a"}


def test_completions_are_flushed_even_if_no_other_is_added(tmp_path):
    with RowStore(tmp_path, flush_s=0.05) as store:
        store.add(record("a"))
        until = time.monotonic() + 20
        while not RowStore(tmp_path).get("a") and time.monotonic() < until:
            time.sleep(0.02)
        assert set(RowStore(tmp_path).get("a")) == {"a"}


def test_a_failed_automatic_flush_is_raised_by_a_later_add(tmp_path):
    with (
        pytest.raises(StoreError, match="can't be stored"),
        RowStore(tmp_path, flush_s=0.05) as store,
        room_for(200),
    ):
        for n in range(500):
            store.add(record(f"{n}"))
            time.sleep(0.02)
