"""Large files are read, joined and written in pieces, with the same rows as at once."""

import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import build_dataset

from polypref.datasets import building
from polypref.datasets import texts as dataset_texts
from polypref.files import table_writer, tables
from polypref.files.schemas import COMPLETIONS, PAIRS, REQUESTS, TEXTS
from polypref.files.table_writer import open_table, write_table
from polypref.files.tables import TableError, iter_batches, iter_rows, read_ahead, read_rows, read_table
from polypref.requests import collect

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


def request(key: str, item: str) -> dict:
    return dict.fromkeys(REQUESTS.names, None) | {"request_id": key, "item_id": item, "messages": []}


def completion(key: str) -> dict:
    return dict.fromkeys(COMPLETIONS.names, None) | {"request_id": key, "text": f"answer to {key}"}


@pytest.fixture
def small(monkeypatch):
    """Pieces of three rows."""
    for module in (tables, table_writer, collect, dataset_texts):
        for name in {"ROW_GROUP", "BATCH"} & vars(module).keys():
            monkeypatch.setattr(module, name, 3)


def test_rows_become_the_same_table_without_pandas():
    code = (
        "import sys, math; import pyarrow as pa\n"
        "from polypref.files import schemas; from polypref.files.table_writer import to_table\n"
        "rows = [{'item_id': 'a\"\\n\\u2028𝄞', 'prompt_tokens': 2**53 + 1, 'chosen_repetition': 0.1 + 0.2,"
        " 'prompt_truncated': True, 'flags': ['x', ''], 'rejected_overlap': 1.0}, {'flags': [], 'token_gap': -1}]\n"
        "table = to_table(rows, schemas.DIAGNOSTICS)\n"
        "assert 'pandas' not in sys.modules, 'small jobs need no pandas'\n"
        "assert table.equals(pa.Table.from_pylist(rows, schema=schemas.DIAGNOSTICS))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_small_jobs_import_no_pandas(tmp_path):
    write_table(tmp_path / "t.parquet", [request("a", "i")], REQUESTS)
    code = (
        "import sys; from polypref.requests import collect, generate, judge, translate\n"
        "from polypref.datasets import building, texts; from polypref.files.schemas import *\n"
        "from polypref.files.table_writer import write_table; from polypref.files.tables import read_rows\n"
        f"rows = read_rows({str(tmp_path / 't.parquet')!r}, REQUESTS)\n"
        f"write_table({str(tmp_path / 'again.parquet')!r}, rows, REQUESTS)\n"
        f"write_table({str(tmp_path / 'none.parquet')!r}, [], REQUESTS)\n"
        "sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "t.parquet").read_bytes()


def test_rows_of_some_items_are_read_in_file_order(tmp_path, small):
    rows = [request(f"r{n}", f"i{n}") for n in range(8)]
    write_table(tmp_path / "t.parquet", rows, REQUESTS)
    found = list(iter_rows(tmp_path / "t.parquet", REQUESTS, items={"i6", "i1", "i2", "none"}))
    assert found == [rows[1], rows[2], rows[6]]
    ids = iter_rows(tmp_path / "t.parquet", REQUESTS, ["request_id", "item_id"], items={"i7"})
    assert list(ids) == [{"request_id": "r7", "item_id": "i7"}]
    assert not list(iter_rows(tmp_path / "t.parquet", REQUESTS, items=set()))


@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_rows_are_written_in_row_groups(tmp_path, small, count):
    rows = [completion(f"r{n}") for n in range(count)]
    written = write_table(tmp_path / "rows.parquet", iter(rows), COMPLETIONS)
    write_table(tmp_path / "table.parquet", pa.Table.from_pylist(rows, schema=COMPLETIONS), COMPLETIONS)
    assert written == count
    assert (tmp_path / "rows.parquet").read_bytes() == (tmp_path / "table.parquet").read_bytes()
    assert (
        read_rows(tmp_path / "rows.parquet", COMPLETIONS)
        == rows
        == list(iter_rows(tmp_path / "rows.parquet", COMPLETIONS))
    )
    assert pq.read_metadata(tmp_path / "rows.parquet").num_row_groups == max(-(-count // 3), 1)


@pytest.mark.parametrize("count", [0, 1, 5, 10, 11])
def test_rows_that_are_appended_are_written_like_a_list(tmp_path, monkeypatch, count):
    monkeypatch.setattr(table_writer, "ROW_GROUP", 5)
    rows = [{"item_id": f"{number}", "language": "de"} for number in range(count)]
    schema = pa.schema([("item_id", pa.string()), ("language", pa.string())])
    write_table(tmp_path / "list.parquet", rows, schema)
    with open_table(tmp_path / "appended.parquet", schema) as writer:
        for row in rows:
            writer.append(row)
    assert writer.rows == count
    assert (tmp_path / "appended.parquet").read_bytes() == (tmp_path / "list.parquet").read_bytes()


def test_an_error_while_writing_leaves_no_file(tmp_path, small):
    def rows():
        yield from (completion(f"r{n}") for n in range(4))
        raise TableError("the source broke")

    with pytest.raises(TableError, match="the source broke"):
        write_table(tmp_path / "rows.parquet", rows(), COMPLETIONS)
    assert list(tmp_path.iterdir()) == []


def test_columns_are_read_in_the_given_order(tmp_path):
    write_table(tmp_path / "t.parquet", [completion("a")], COMPLETIONS)
    assert read_table(tmp_path / "t.parquet", COMPLETIONS, ["text", "request_id"]).column_names == [
        "text",
        "request_id",
    ]


def test_requests_are_joined_with_completions_in_any_order(tmp_path, small):
    keys = ["r9", "r2", None, "r5", "r2", "r0", "r8", "r1", "r7"]
    asked = [request(key, f"i{n // 2}") for n, key in enumerate(keys)]
    write_table(tmp_path / "requests.parquet", asked, REQUESTS)
    write_table(tmp_path / "completions.parquet", [completion(f"r{n}") for n in range(11)], COMPLETIONS)
    batches = list(
        collect.read_answered(str(tmp_path / "requests.parquet"), REQUESTS, str(tmp_path / "completions.parquet"))
    )
    without_messages = [{name: value for name, value in row.items() if name != "messages"} for row in asked]
    assert [row for rows, _ in batches for row in rows] == without_messages
    items = [{row["item_id"] for row in rows} for rows, _ in batches]
    assert len(items) > 1 and not set.intersection(*items), "the parts of an item stay together"
    for rows, found in batches:
        for key in {row["request_id"] for row in rows} - {None}:
            assert found[key]["text"] == f"answer to {key}"


def test_texts_joined_in_pieces_equal_texts_joined_at_once(tmp_path, small):
    ids = [f"i{n}" for n in range(8)]
    pairs = [{"item_id": i, "source": "s", "row": n, "task": "t", "prompt": i, "chosen": f"c{i}", "rejected": f"r{i}"}
             for n, i in enumerate(ids)]  # fmt: skip
    base = {"error": None, "model": "m", "checkpoint": "c", "revision": "1", "decoding": "{}"}
    prompts = [dict.fromkeys(TEXTS.names) | base | {"item_id": i, "text": f"Q{i}", "error": "no" if i == "i4" else None}
               for i in ids]  # fmt: skip
    answers = [dict.fromkeys(TEXTS.names) | base | {"item_id": i, "text": f"A{i}"} for i in ids if i != "i4"]
    for name, rows, schema in (("pairs", pairs, PAIRS), ("prompt", prompts, TEXTS), ("chosen", answers, TEXTS)):
        write_table(tmp_path / f"{name}.parquet", rows, schema)
    paths = {"prompt": str(tmp_path / "prompt.parquet"), "chosen": str(tmp_path / "chosen.parquet"), "rejected": None}
    fields = {"de": paths, "en": dict.fromkeys(paths)}
    whole = build_dataset(
        pairs, {"de": {"prompt": prompts, "chosen": answers, "rejected": None}, "en": dict.fromkeys(paths)}
    )
    kept, dropped = [], []
    for language, batch, texts in dataset_texts.read_texts(str(tmp_path / "pairs.parquet"), fields):
        rows, left = building.build_dataset(batch, texts, language)
        kept += rows.to_pylist()
        dropped += left.to_pylist()
    assert (kept, dropped) == whole and len(kept) == 15
    write_table(tmp_path / "chosen.parquet", [*answers, {**answers[0], "item_id": "z"}], TEXTS)
    with pytest.raises(TableError, match="item_id z is in no pair"):
        for language, batch, texts in dataset_texts.read_texts(str(tmp_path / "pairs.parquet"), fields):
            building.build_dataset(batch, texts, language)


def test_columns_whose_values_repeat_have_dictionaries(tmp_path):
    rows = [request(f"r{n}", "i") | {"messages": [{"role": "user", "content": f"Hello {n}"}]} for n in range(5)]
    write_table(tmp_path / "t.parquet", rows, REQUESTS)
    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    plain = {column.path_in_schema for column in columns if "RLE_DICTIONARY" not in column.encodings}
    assert plain == {"messages.list.element.content"}


def test_reading_ahead_keeps_order_and_raises_errors_in_their_place():
    def numbers():
        yield from range(5)
        raise TableError("the file broke")

    found = []
    with pytest.raises(TableError, match="the file broke"):
        found.extend(number for number in read_ahead(numbers()))
    assert list(read_ahead(iter([]))) == [] and list(read_ahead("abc")) == ["a", "b", "c"]


def test_reading_ahead_stops_with_its_reader():
    read = []

    def numbers():
        for number in range(100):
            read.append(number)
            yield number

    for number in read_ahead(numbers()):
        if number == 3:
            break
    assert len(read) <= 5


def test_reading_a_large_file_in_batches_keeps_little_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(table_writer, "ROW_GROUP", 100)
    monkeypatch.setattr(tables, "BATCH", 100)
    texts = ({**completion(f"r{n}"), "text": random.Random(n).randbytes(5000).hex()} for n in range(3000))
    write_table(tmp_path / "t.parquet", texts, COMPLETIONS)
    before, most = pa.total_allocated_bytes(), 0
    for _ in iter_batches(tmp_path / "t.parquet", COMPLETIONS):
        most = max(most, pa.total_allocated_bytes() - before)
    size = (tmp_path / "t.parquet").stat().st_size
    assert size > 15e6 and most < size / 5
