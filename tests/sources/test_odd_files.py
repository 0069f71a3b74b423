"""Unusual files: every row is read or dropped with a reason, or one message names the file and the row."""

import json
import tracemalloc
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from preference_files import FORMATS, ROW, packed, pairs_of, write
from rows_in_memory import reader

from polypref.config.data import data_files
from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.table_writer import write_table
from polypref.files.tables import TableError, read_rows
from polypref.files.visible import visible
from polypref.sources.formats import COLUMNS, clean
from polypref.sources.reading import Data, read_data
from polypref.sources.sampling import Measured, sample_pairs

ODD = st.sampled_from(
    ["\0", "\r", "\r\n", "\n", "\ufeff", "\u200b", "\u202e", "\u2066", "\u00ad", "é", "e\u0301", "\u2028", "\x85", '"',
     ",", "\\", "\U0001f600", "\x1a", "😀\u200d", " ", "\t", "\u0000\u0301", "ﬁ", "\ue000", "\uffff", "한",
     "\u1112\u1161"]
)  # fmt: skip
TEXT = st.lists(st.one_of(ODD, st.text(max_size=6)), max_size=5).map("".join)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=()))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["role", "content", "text", "type", "x"]), inner, max_size=3),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("suffix", FORMATS)
@given(rows=st.lists(st.fixed_dictionaries({"prompt": TEXT, "chosen": TEXT, "rejected": TEXT}), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example(rows=[ROW])
@example(rows=[{"prompt": "\ufeffa\0b", "chosen": "a\r\nb", "rejected": "\u202eb"}])
def test_texts_of_every_kind_are_read_alike_from_every_format(tmp_path_factory, suffix, rows):
    """Each row is a pair with its cleaned texts, or is dropped with a reason; pairs and reasons can be written."""
    folder = tmp_path_factory.mktemp("odd")
    rows = [ROW, *rows]
    pairs, dropped = pairs_of(str(write(folder, suffix, rows)))
    assert sorted([row["row"] for row in pairs] + [row["row"] for row in dropped]) == list(range(1, len(rows) + 1))
    for pair in pairs:
        assert {name: pair[name] for name in ROW} == {name: clean(text) for name, text in rows[pair["row"] - 1].items()}
    write_table(folder / "pairs.out", pairs, PAIRS)
    write_table(folder / "dropped.out", dropped, DROPPED)
    assert read_rows(folder / "pairs.out", PAIRS) == pairs


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".jsonl.zst"])
@pytest.mark.parametrize("kind", list(COLUMNS))
@given(rows=st.lists(st.dictionaries(st.sampled_from(sorted({*sum(COLUMNS.values(), ())})), ANYTHING), max_size=3))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_values_of_every_kind_are_read_or_named(tmp_path_factory, suffix, kind, rows):
    """Numbers, nulls, lists and lone surrogates in place of texts: read, dropped, or one message with file and row."""
    folder = tmp_path_factory.mktemp("odd")
    rows = [{**dict.fromkeys(COLUMNS[kind]), **row} for row in rows]
    path = write(folder, suffix, rows)
    try:
        pairs, dropped = pairs_of(str(path), kind)
    except TableError as error:
        assert str(path) in str(error) and str(error).encode("utf-8")
    else:
        assert len(pairs) + len(dropped) == len(rows)
        write_table(folder / "pairs.out", pairs, PAIRS)
        write_table(folder / "dropped.out", dropped, DROPPED)


@given(data=st.binary(max_size=200))
@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@example(data=b'prompt,chosen,rejected\n"open,a,b\n')
@example(data="\ufeffprompt".encode("utf-16"))
@example(data=b"[" * 100_000)
@example(data=b'{"prompt": ' + b"9" * 5000 + b"}")
def test_any_bytes_are_read_or_are_one_message_with_the_file(tmp_path_factory, suffix, data):
    path = tmp_path_factory.mktemp("odd") / f"pairs{suffix}"
    for content in (data, packed(data, suffix), packed(data, suffix)[:-3]):
        path.write_bytes(content)
        try:
            read_data(str(path), ("prompt",))
        except TableError as error:
            assert str(path) in str(error) and "\n" not in str(error).strip()


# -- single cases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_prompt_in_nfc_and_nfd_or_with_invisible_characters_is_sampled_once(tmp_path, suffix):
    text = "Où est le café\u202f?"
    texts = [text, unicodedata.normalize("NFD", text), "Où est\u200b le café\u202f?",
             "\u202aOù est le café\u202f?\u202c", "où  est le CAFÉ ?"]  # fmt: skip
    rows = [{"prompt": text, "chosen": f"ici {n}", "rejected": f"là {n}"} for n, text in enumerate(texts)]
    pairs, _ = pairs_of(str(write(tmp_path, suffix, rows)))
    assert len(pairs) == len(texts)
    sampled, dropped = sample_pairs({"mine": reader(pairs)}, 5, 1, 100, lambda some: [Measured(5) for _ in some])
    assert len(list(sampled)) == 1
    assert {row["step"] for row in dropped} == {"deduplicate"}


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    for suffix, data in (
        (".jsonl", json.dumps(ROW) + "\r\n\r\n" + json.dumps(ROW)),
        (".csv", "prompt,chosen,rejected\r\nWhy?,So.,No."),
    ):
        path = tmp_path / f"bom{suffix}"
        path.write_bytes(b"\xef\xbb\xbf" + data.encode("utf-8"))
        assert read_data(str(path), COLUMNS["preference"])[0] == ROW


def test_messages_name_the_file_and_row(tmp_path):
    bad = {**ROW, "chosen": ""}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(ROW)}\n\n{json.dumps(ROW)}\n")
    (tmp_path / "b.jsonl").write_text(f"\n{json.dumps(ROW)}\n\n\n{json.dumps(bad)}\n")
    with pytest.raises(TableError, match=r"b\.jsonl, row 5: chosen is empty"):
        pairs_of(data_files(str(tmp_path)), bad_rows="error")
    rows = Data(data_files(str(tmp_path)), ())
    assert len(list(rows)) == 4
    assert [rows.place(n).rsplit("/")[-1] for n in range(1, 5)] == [
        "a.jsonl, row 1", "a.jsonl, row 3", "b.jsonl, row 2", "b.jsonl, row 5"
    ]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), [
    ("prompt,chosen,rejected\na,b,c\nd,e,f,g\n", r"row 2: has 4 cells, the header has 3"),
    ("prompt,chosen,rejected\na,b,c\n\"d,e,f\ng,h,i\n", r"row 2 \(line 3\): can't be read as CSV \(unexpected end"),
    ("prompt,chosen,prompt\na,b,c\n", r"column prompt occurs twice in the header"),
])  # fmt: skip
def test_a_malformed_csv_file_does_not_silently_lose_rows(tmp_path, content, message):
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(TableError, match=message):
        read_data(str(tmp_path / "pairs.csv"), ("prompt",))


def test_a_row_of_csv_with_missing_cells_is_unusable(tmp_path):
    (tmp_path / "pairs.csv").write_text("prompt,chosen,rejected\na,b\n")
    with pytest.raises(TableError, match=r"pairs\.csv, row 1: "):
        pairs_of(str(tmp_path / "pairs.csv"), kind="gutenberg", bad_rows="error")


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".csv.gz"])
def test_a_truncated_archive_is_damaged(tmp_path, suffix):
    path = write(tmp_path, suffix, [{**ROW, "prompt": f"{n} why?"} for n in range(1000)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match=rf"pairs{suffix}: is damaged or not a \{suffix[-4:].lstrip('vl')} file"):
        read_data(str(path), ("prompt",))


def test_several_zstd_frames_and_gzip_members_are_one_file(tmp_path):
    line = (json.dumps(ROW) + "\n").encode()
    for suffix in (".jsonl.gz", ".jsonl.zst"):
        (tmp_path / f"two{suffix}").write_bytes(packed(line, suffix) + packed(line * 2, suffix))
        assert len(read_data(str(tmp_path / f"two{suffix}"), ("prompt",))) == 3


@pytest.mark.parametrize("kind", [
    pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string()),
], ids=str)  # fmt: skip
def test_text_columns_of_every_type_are_read(tmp_path, kind):
    columns = {}
    for name in ROW:
        texts = pa.array([f"{name} é", f"{name} 2"])
        columns[name] = texts.dictionary_encode() if pa.types.is_dictionary(kind) else texts.cast(kind)
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    pairs, dropped = pairs_of(str(tmp_path / "pairs.parquet"))
    assert [pair["prompt"] for pair in pairs] == ["prompt é", "prompt 2"] and not dropped


def test_bytes_that_are_not_utf8_are_named_by_row(tmp_path):
    table = pa.table({name: pa.array([b"fine", b"\xff" if name == "chosen" else b"x"]) for name in ROW})
    pq.write_table(table, tmp_path / "pairs.parquet")
    with pytest.raises(TableError, match=r"pairs\.parquet, row 2: "):
        pairs_of(str(tmp_path / "pairs.parquet"))


@pytest.mark.parametrize(
    ("value", "name"), [(5, "int"), (0.5, "float"), (["a"], "list"), ({"a": 1}, "dict"), (True, "bool")]
)
def test_a_value_that_is_no_text_is_named_by_its_type(tmp_path, value, name):
    path = write(tmp_path, ".jsonl", [ROW, {**ROW, "chosen": value}])
    with pytest.raises(TableError, match=rf"pairs\.jsonl, row 2: chosen is not a text but a value of type {name}"):
        pairs_of(str(path), kind="gutenberg", bad_rows="error")


def test_nested_nulls_are_unusable_rows(tmp_path):
    turn = lambda role, content: {"role": role, "content": content}  # noqa: E731
    chats = [
        {"prompt": [None], "chosen": [turn("assistant", "a")], "rejected": [turn("assistant", "b")]},
        {"prompt": [turn("user", None)], "chosen": [turn("assistant", "a")], "rejected": [turn("assistant", "b")]},
        {"prompt": None, "chosen": None, "rejected": None},
        {"prompt": [turn(None, "q")], "chosen": [turn("assistant", "a")], "rejected": [turn("assistant", "b")]},
        {"prompt": [turn("user", "q")], "chosen": [turn("assistant", "a")], "rejected": [turn("assistant", "b")]},
    ]
    for suffix in (".jsonl", ".parquet"):
        pairs, dropped = pairs_of(str(write(tmp_path, suffix, chats)))
        assert len(pairs) == 1 and len(dropped) == 4


def test_rows_of_ten_megabytes_are_read_in_small_batches(tmp_path):
    rows = ({name: f"{n} {name} " + "x" * 10_000_000 for name in ROW} for n in range(12))
    with pq.ParquetWriter(
        tmp_path / "pairs.parquet", pa.schema(dict.fromkeys(ROW, pa.string())), use_dictionary=False
    ) as file:
        for row in rows:
            file.write_table(pa.Table.from_pylist([row]))
    tracemalloc.start()
    assert sum(len(row["prompt"]) for row in Data(str(tmp_path / "pairs.parquet"), ("prompt",))) > 120_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000  # all rows have 360 MB


def test_a_row_of_ten_megabytes_is_read_from_every_format(tmp_path):
    rows = [{"prompt": "é" * 500_000, "chosen": "a" * 10_000_000, "rejected": "b"}]
    for suffix in FORMATS:
        pairs, _ = pairs_of(str(write(tmp_path, suffix, rows)))
        assert len(pairs[0]["chosen"]) == 10_000_000 and len(pairs[0]["prompt"]) == 500_000
        write_table(tmp_path / "out.parquet", pairs, PAIRS)


def test_cleaned_texts_with_invisible_differences_are_equal():
    assert visible(clean("a\u200bb")) == visible(clean("ab"))
