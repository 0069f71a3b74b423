"""The user's own test sets: ids, languages, several references, and errors that name file and row."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.config.loading import read_languages
from polypref.files.conversations import to_messages
from polypref.files.schemas import OWN_SEGMENTS, PROMPTS, SEGMENTS
from polypref.files.table_writer import write_table
from polypref.files.tables import TableError, read_rows
from polypref.sources.own_sets import PROMPT_COLUMNS, SEGMENT_COLUMNS, own_prompts, own_segments
from polypref.sources.reading import Data

TABLE = read_languages(Path(__file__).parents[2])
ASKED = [
    {"id": n, "language": code, "prompt": f"{code} question {n}", "reference": "x" if n else None}
    for code in ("en", "de", "pt-PT")
    for n in range(6)
]


def write(tmp_path, rows: list[dict], suffix=".jsonl"):
    path = tmp_path / f"own{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".csv":
        cells = [",".join("" if row[name] is None else str(row[name]) for name in rows[0]) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *cells]), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def prompts(path, code="de", wanted=3, one_language=False, columns=None):
    rows = Data(path, PROMPT_COLUMNS, columns=columns)
    return own_prompts(rows, code, TABLE[code], wanted, 1, "own", one_language)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_the_same_ids_are_sampled_in_every_language_from_every_format(tmp_path, suffix):
    path = write(tmp_path, ASKED, suffix)
    found = {code: prompts(path, code) for code in ("en", "de", "pt-PT")}
    ids = {tuple(row["prompt_id"] for row in rows) for rows in found.values()}
    assert len(ids) == 1 and len(next(iter(ids))) == 3
    assert {row["item_id"] for row in prompts(path, wanted=2)} < {row["item_id"] for row in found["de"]}
    assert len({row["item_id"] for rows in found.values() for row in rows}) == 9
    assert all(row["prompt"].startswith("pt-PT question") for row in found["pt-PT"])
    write_table(tmp_path / "out.parquet", found["de"], PROMPTS)
    assert read_rows(tmp_path / "out.parquet", PROMPTS) == found["de"]


def test_prompts_without_ids_are_clusters_of_their_own(tmp_path):
    path = write(tmp_path, [{"language": code, "prompt": f"Same {n}"} for code in ("en", "de") for n in range(3)])
    english, german = prompts(path, "en"), prompts(path, "de")
    assert not {row["prompt_id"] for row in english} & {row["prompt_id"] for row in german}


CHAT = [
    {"role": "system", "content": "Sei knapp.\r\n"},
    {"role": "user", "content": "Nenne einen Fluss."},
    {"role": "assistant", "content": "Rhein"},
    {"role": "user", "content": "Und einen See?"},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_prompts_may_be_conversations(tmp_path, suffix):
    path = write(tmp_path, [{"language": "de", "prompt": CHAT[n:]} for n in range(4) if n != 2], suffix)
    found = {row["prompt"] for row in prompts(path)}
    whole = [{**CHAT[0], "content": "Sei knapp."}, *CHAT[1:]]
    assert sorted(map(to_messages, found), key=len) == [whole[3:], whole[1:], whole]
    assert "Und einen See?" in found, "a single turn is its text"


def test_messages_and_texts_may_be_in_one_set_and_have_the_same_ids(tmp_path):
    one = [{"role": "system", "content": " "}, {"role": "user", "content": [{"type": "text", "text": "Frage"}]}]
    (asked,) = prompts(write(tmp_path, [{"language": "de", "prompt": one}]), wanted=1)
    assert [asked] == prompts(write(tmp_path, [{"language": "de", "prompt": "Frage"}]), wanted=1)
    rows = [{"language": "de", "prompt": value} for value in ("Frage", CHAT, one)]
    with pytest.raises(TableError, match="row 3: the prompt occurs twice"):
        prompts(write(tmp_path, rows))


@given(st.lists(st.one_of(st.text(), st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "x"]),
                st.text(max_size=5)), max_size=4)), min_size=1, max_size=4))  # fmt: skip
def test_any_prompts_become_messages_or_one_error_with_the_row(values):
    class Rows(list):
        def place(self, number: int) -> str:
            return f"own.jsonl, row {number}"

    shaped = [value if isinstance(value, str) else [{"role": r, "content": c} for r, c in value] for value in values]
    rows = Rows({"prompt": value} for value in shaped)
    try:
        found = own_prompts(rows, "de", TABLE["de"], len(rows), 1, "own", True)
    except TableError as error:
        assert "own.jsonl, row " in str(error)
        return
    for row in found:
        roles = [message["role"] for message in to_messages(row["prompt"])]
        assert roles[-1] == "user" and "system" not in roles[1:]
        assert all(message["content"].strip() for message in to_messages(row["prompt"]))


@pytest.mark.parametrize("name", ["de", "DE", "German", "deutsch", "deu", "deu_Latn", "de_DE"])
def test_languages_may_be_named_by_any_of_their_codes_or_names(tmp_path, name):
    path = write(tmp_path, [{"language": name, "prompt": "q"}, {"language": "en", "prompt": "r"}])
    assert [row["prompt"] for row in prompts(path, wanted=1)] == ["q"]


def test_varieties_of_a_language_are_not_mixed_up(tmp_path):
    path = write(
        tmp_path, [{"language": name, "prompt": name} for name in ("zho", "zh-Hant", "pt", "pt_PT", "zho_Hant")]
    )
    assert [row["prompt"] for row in prompts(path, "zh", 1)] == ["zho"]
    assert {row["prompt"] for row in prompts(path, "zh-Hant", 2)} == {"zh-Hant", "zho_Hant"}
    assert [row["prompt"] for row in prompts(path, "pt-PT", 1)] == ["pt_PT"]


def test_a_file_per_language_needs_no_column_language(tmp_path):
    path = write(tmp_path, [{"prompt": "q"}])
    assert len(prompts(path, wanted=1, one_language=True)) == 1
    with pytest.raises(
        TableError, match=r"own\.jsonl, row 1: column language is missing\. .* with \{language\} in its name"
    ):
        prompts(path, wanted=1)


@pytest.mark.parametrize(("rows", "message"), [
    ([{"language": "fr", "prompt": "q"}], r"own\.jsonl: has no rows in German \(de\); the column language has: fr"),
    ([{"language": "de", "prompt": " "}], r"own\.jsonl, row 1: prompt is empty"),
    ([{"language": "de", "prompt": 5}], r"own\.jsonl, row 1: prompt is not a text but a value of type int"),
    ([{"language": "de", "prompt": "\ud800"}], r"own\.jsonl, row 1: prompt contains an incomplete character"),
    ([{"language": "de", "prompt": "q", "id": 1}, {"language": "de", "prompt": "r", "id": 1}],
     r"own\.jsonl, row 2: id 1 occurs twice for German \(first in .*own\.jsonl, row 1\)"),
    ([{"language": "de", "prompt": "q"}, {"language": "de", "prompt": "q "}], r"row 2: the prompt occurs twice for Ge"),
    ([{"language": "de", "prompt": "q"}], r"own\.jsonl: has 1 prompts in German \(de\), .*per_language asks for 3"),
    ([{"language": "de", "prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}],
     r"own\.jsonl, row 1: prompt must end with a turn of the user, found role 'assistant'. Fix or remove the row"),
    ([{"language": "de", "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": " "}]}],
     r"own\.jsonl, row 1: a message of the user in prompt is empty"),
    ([{"language": "de", "prompt": ["q"]}], r"own\.jsonl, row 1: prompt is not a list of \{role, content\}"),
    ([{"language": "de"}], r"own\.jsonl: column prompt is missing"),
])  # fmt: skip
def test_errors_of_prompts_name_file_and_row(tmp_path, rows, message):
    with pytest.raises(TableError, match=message):
        prompts(write(tmp_path, rows))


def segments(path, code="de", subset=None, one_language=False):
    return own_segments(Data(path, SEGMENT_COLUMNS), code, TABLE[code], subset, 1, one_language)


SEGMENT = {"source": "s", "reference": "r", "language": "de"}


def test_segments_may_have_several_references_and_documents(tmp_path):
    rows = [
        {**SEGMENT, "source": "one", "reference": ["a", "b"], "document_id": "d"},
        {**SEGMENT, "source": "two", "document_id": "d"},
        {**SEGMENT, "source": "three", "reference": ["a", "a"]},
        {**SEGMENT, "source": "four", "reference_2": "second", "reference_3": ""},
        {**SEGMENT, "source": "fünf", "language": "fr"},
    ]
    found = {row["source"]: row for row in segments(write(tmp_path, rows))}
    assert {name: row["references"] for name, row in found.items()} == {
        "one": ["a", "b"], "two": ["r"], "three": ["a"], "four": ["r", "second"]
    }  # fmt: skip
    assert [found[name]["item_id"] for name in ("one", "two")] == ["d:1", "d:2"]
    assert found["three"]["document_id"] != found["four"]["document_id"]
    write_table(tmp_path / "out.parquet", found.values(), OWN_SEGMENTS)
    assert {row["source"] for row in read_rows(tmp_path / "out.parquet", SEGMENTS)} == set(found)


def test_a_subset_of_segments_is_part_of_a_larger_one(tmp_path):
    path = write(tmp_path, [{**SEGMENT, "source": f"s{n}"} for n in range(20)])
    ids = [{row["item_id"] for row in segments(path, subset=size)} for size in (5, 8, None)]
    assert len(ids[0]) == 5 and ids[0] < ids[1] < ids[2]


@pytest.mark.parametrize(("row", "message"), [
    ({"reference": []}, "row 2: reference is empty"),
    ({"reference": ["a", ""]}, "row 2: reference is empty"),
    ({"reference": [1]}, "row 2: reference is not a text but a value of type int"),
    ({"source": None}, "row 2: source is empty"),
])  # fmt: skip
def test_errors_of_segments_name_file_and_row(tmp_path, row, message):
    with pytest.raises(TableError, match=rf"own\.jsonl, {message}"):
        segments(write(tmp_path, [SEGMENT, {**SEGMENT, **row}]))
