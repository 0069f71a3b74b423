"""Data files are read, and damaged ones and rows are named."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polypref.files.tables import TableError
from polypref.sources.formats import COLUMNS
from polypref.sources.reading import read_data

ROW = {"prompt": "é", "chosen": "c", "rejected": "r"}


def write(tmp_path, suffix: str, rows: list[dict]):
    path = tmp_path / f"pairs{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    elif suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_local_files_are_read(tmp_path, suffix):
    assert read_data(str(write(tmp_path, suffix, [ROW, ROW])), COLUMNS["gutenberg"]) == [ROW, ROW]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_missing_column_is_named_with_those_found(tmp_path, suffix):
    path = write(tmp_path, suffix, [{"prompt": "p", "chosen": "c"}])
    with pytest.raises(TableError, match=rf"pairs\{suffix}: column rejected is missing; found prompt, chosen"):
        read_data(str(path), COLUMNS["gutenberg"])


def test_a_column_missing_in_one_row_names_the_row(tmp_path):
    path = write(tmp_path, ".jsonl", [ROW, {"prompt": "p", "chosen": "c"}])
    with pytest.raises(TableError, match="row 2: column rejected is missing"):
        read_data(str(path), COLUMNS["gutenberg"])


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv"])
def test_an_empty_source_is_an_error(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(TableError, match=f"{name}: has no rows"):
        read_data(str(tmp_path / name), ("prompt",))


def test_text_that_is_not_utf8_names_the_row(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + '{"prompt": "é"}'.encode("latin-1"))
    with pytest.raises(TableError, match=r"latin.jsonl, row 2: is not UTF-8 \(byte 0xe9\)"):
        read_data(str(path), ("prompt",))


def test_parquet_text_that_is_not_utf8_names_the_row(tmp_path):
    raw = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\4\0\0\0\6\0\0\0"), pa.py_buffer(b"fine\xff\xfe"))
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({"prompt": raw}), path)
    with pytest.raises(TableError, match=r"bad.parquet, row 2: is not UTF-8"):
        read_data(str(path), ("prompt",))


def test_a_line_that_is_not_json_names_the_row(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"prompt": "p"}\n{"prompt": \n')
    with pytest.raises(TableError, match="row 2: is not JSON"):
        read_data(str(tmp_path / "x.jsonl"), ("prompt",))


@pytest.mark.parametrize("name", ["pairs.jsonl.xz", "pairs.parquet.gz", "pairs.txt", "pairs"])
def test_an_unsupported_file_format_is_an_error_that_lists_the_supported_ones(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(ROW))
    with pytest.raises(TableError, match=r"not supported\. Unpack or convert the file to one of \.jsonl, \.json"):
        read_data(str(tmp_path / name), ("prompt",))
