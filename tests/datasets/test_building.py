"""Data sets are joined by id, every pair is kept or dropped with a reason, and the folder with its card loads."""

import pytest
from building import build_dataset

from polypref.datasets.cards import card
from polypref.datasets.exports import write_exports
from polypref.files.conversations import to_text
from polypref.files.schemas import DATASET, DROPPED
from polypref.files.table_writer import write_table
from polypref.files.tables import TableError

PAIRS = [
    {"item_id": i, "source": "s", "row": n, "task": "t", "prompt": f"p{i}", "chosen": f"c{i}", "rejected": f"r{i}"}
    for n, i in enumerate("ab")
]


def texts(values: dict, error: dict | None = None) -> list[dict]:
    more = {"model": "m", "checkpoint": "o/n", "revision": "1", "decoding": '{"max_tokens":8}'}
    return [{"item_id": i, "text": text, "error": (error or {}).get(i), **more} for i, text in values.items()]


def german(**fields) -> dict:
    base = {name: texts({"a": f"{name} A", "b": f"{name} B"}) for name in ("prompt", "chosen", "rejected")}
    return {"de": {**base, **fields}}


def test_a_conversation_becomes_messages_and_a_transcript():
    turns = [("system", "Kurz."), ("user", "A?"), ("assistant", "B."), ("user", "C?")]
    prompts = texts({"a": to_text(turns), "b": "Hallo"})
    rows, _ = build_dataset(PAIRS, german(prompt=prompts))
    expected = [{"role": role, "content": content} for role, content in turns]
    assert rows[0]["prompt_messages"] == expected
    assert rows[0]["rejected_messages"] == [*expected, {"role": "assistant", "content": "rejected A"}]
    assert rows[0]["prompt"] == "System: Kurz.\n\nUser: A?\n\nAssistant: B.\n\nUser: C?"
    assert rows[1]["prompt"] == "Hallo" and rows[1]["prompt_messages"] == [{"role": "user", "content": "Hallo"}]
    made = ("A", "T", {"prompt": "english"}, {"de": "German"}, {"s": "mit"})
    paragraph = "In 1 of 2 rows the prompt is a conversation: a system message (1 rows)"
    assert paragraph in card(*made, rows, [])
    assert "conversation: a" not in card(*made, rows[1:], [])


def test_fields_are_joined_by_id_and_not_by_position():
    rows, dropped = build_dataset(PAIRS, german(chosen=texts({"b": "B!", "a": "A!"})))
    assert [(r["item_id"], r["prompt"], r["chosen"]) for r in rows] == [
        ("a", "prompt A", "A!"),
        ("b", "prompt B", "B!"),
    ]
    assert set(rows[0]) == set(DATASET.names) and not dropped
    assert rows[0]["chosen_messages"] == [
        {"role": "user", "content": "prompt A"},
        {"role": "assistant", "content": "A!"},
    ]
    assert rows[0]["chosen_provenance"] == (
        '{"model": "m", "checkpoint": "o/n", "revision": "1", "decoding": {"max_tokens": 8}}'
    )


def test_english_keeps_the_original():
    rows, _ = build_dataset(PAIRS, {"en": {"prompt": None, "chosen": None, "rejected": texts({"a": "x", "b": "y"})}})
    assert (rows[0]["prompt"], rows[0]["chosen"], rows[0]["rejected"]) == ("pa", "ca", "x")
    assert rows[0]["prompt_provenance"] == '{"model": "source"}'


def test_rows_with_errors_are_dropped_with_their_reason():
    rows, dropped = build_dataset(PAIRS, german(rejected=texts({"a": "", "b": "B"}, {"a": "too long"})))
    assert [r["item_id"] for r in rows] == ["b"]
    assert [(d["item_id"], d["language"], d["step"], d["reason"]) for d in dropped] == [
        ("a", "de", "answer", "rejected: too long")
    ]
    assert set(dropped[0]) == set(DROPPED.names)


def test_pairs_with_chosen_equal_to_rejected_are_dropped():
    _, dropped = build_dataset(
        PAIRS, german(chosen=texts({"a": "same", "b": "B"}), rejected=texts({"a": "same ", "b": "C"}))
    )
    assert [d["reason"] for d in dropped] == ["chosen equals rejected"]


def test_a_missing_or_unknown_row_is_an_error_that_names_the_id():
    with pytest.raises(TableError, match="chosen in de: there is no row for item_id b"):
        build_dataset(PAIRS, german(chosen=texts({"a": "x"})))
    with pytest.raises(TableError, match="chosen in de: item_id z is in no pair"):
        build_dataset(PAIRS, german(chosen=texts({"a": "x", "b": "y", "z": "?"})))
    twice = texts({"a": "x", "b": "y"}) + texts({"a": "x"})
    with pytest.raises(TableError, match="chosen in de: item_id occurs more than once: a"):
        build_dataset(PAIRS, german(chosen=twice))


def test_a_folder_with_its_card_loads_as_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    rows, dropped = build_dataset(PAIRS, german())
    write_table(tmp_path / "A.parquet", rows, DATASET)
    write_exports(tmp_path / "A.parquet", tmp_path / "A", 0)
    made = {"prompt": {"translate": "m"}, "chosen": "english", "rejected": {"generate": "g"}}
    text = card("A", "Title: with a colon", made, {"de": "German"}, {"s": "mit", "o": "unknown"}, rows, dropped)
    (tmp_path / "A" / "README.md").write_text(text, encoding="utf-8")
    loaded = datasets.load_dataset(str(tmp_path / "A"), "default", split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 2 and loaded.column_names == DATASET.names
    assert "license: other" in text and "- o: unknown" in text and "translated by `m`" in text
