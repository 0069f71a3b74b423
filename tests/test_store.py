"""The row store: what was flushed is never lost, what is damaged never answers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polypref.store import RowStore, StoreError


def record(key: str, text: str = "x", **more) -> dict:
    row = {"request_id": key, "text": text, "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 2}
    return {**row, "logprobs": None, "cost_usd": 0.5, "error": None, **more}


def fill(folder, keys, said=None):
    with RowStore(folder, report=(said if said is not None else []).append) as store:
        for key in keys:
            store.add(record(key, f"text of {key}"))


def test_what_was_added_is_found(tmp_path):
    fill(tmp_path, ["a", "b"])
    found = RowStore(tmp_path).get(["a", "b", "c"])
    assert found == {key: record(key, f"text of {key}") for key in ("a", "b")}


def test_flushed_rows_survive_a_writer_that_never_closed(tmp_path):
    store = RowStore(tmp_path)
    store.__enter__()
    store.add(record("a"))
    store.flush()
    store.add(record("lost"))
    assert set(RowStore(tmp_path).get(["a", "lost"])) == {"a"}, "readable while it is written"
    store._lock.close()
    fill(tmp_path, ["b"])
    assert set(RowStore(tmp_path).get(["a", "b"])) == {"a", "b"}
    assert not list(tmp_path.glob("journal-*")), "sealed"


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_torn_journal_keeps_every_whole_record(tmp_path_factory, cut):
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
    said = []
    assert sorted(RowStore(folder, said.append).get("abc")) == list("abc")[:whole]
    assert bool(said) == (cut not in (0, *ends) and cut < len(data))
    store._lock.close()


def test_a_damaged_journal_line_never_answers(tmp_path):
    store = RowStore(tmp_path)
    store.__enter__()
    for key in "ab":
        store.add(record(key, "right"))
    store.flush()
    (journal,) = tmp_path.glob("journal-*")
    journal.write_bytes(journal.read_bytes().replace(b"right", b"wrong", 1))
    said = []
    assert set(RowStore(tmp_path, said.append).get("ab")) == {"b"}
    assert "line 1: fails its checksum" in said[0]
    store._lock.close()


def test_a_damaged_part_is_set_aside(tmp_path):
    fill(tmp_path, ["a"])
    (part,) = tmp_path.glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:50])
    said = []
    assert RowStore(tmp_path, said.append).get(["a"]) == {}
    assert "set aside" in said[0] and list(tmp_path.glob("*.corrupt-*")) and not list(tmp_path.glob("part-*.parquet"))


def test_one_writer_at_a_time(tmp_path):
    with RowStore(tmp_path), pytest.raises(StoreError, match=r"being written by process .* Wait for that job"):
        fill(tmp_path, ["a"])
    fill(tmp_path, ["a"])


def test_journal_lines_are_plain_json_behind_a_checksum(tmp_path):
    store = RowStore(tmp_path)
    store.__enter__()
    store.add(record("a", 'a "text"\nin two lines'))
    store.flush()
    (journal,) = tmp_path.glob("journal-*")
    (line,) = journal.read_text().splitlines()
    assert json.loads(line[9:])["text"] == 'a "text"\nin two lines'
    store._lock.close()
