"""WMT24++ and Aya are converted to one schema; prompts are the same in every language; errors name file and row."""

import pytest

from polypref.config.sections import Language
from polypref.files.schemas import PROMPTS, SEGMENTS
from polypref.files.tables import TableError
from polypref.sources.benchmarks import normalise_prompts, normalise_wmt

GERMAN = Language(name="German", endonym="Deutsch", iso639_3="deu", script="Latn", wmt24pp="de_DE")
CHINESE = Language(name="Chinese", endonym="中文", iso639_3="zho", script="Hans", wmt24pp="zh_CN")


def segment(n: int, bad: bool = False, **more) -> dict:
    row = {"lp": "en-de_DE", "domain": "news", "document_id": "d", "segment_id": n, "is_bad_source": bad}
    return {**row, "source": f"s{n}", "target": f"t{n}", "original_target": "o", **more}


def wmt(rows, subset=None):
    return normalise_wmt(rows, "wmt.jsonl", "de", GERMAN, subset, 1)


def test_segments_with_bad_sources_are_dropped():
    found = wmt([segment(2), segment(1), segment(3, bad=True)])
    assert [(row["item_id"], row["source"], row["reference"]) for row in found] == [
        ("d:1", "s1", "t1"),
        ("d:2", "s2", "t2"),
    ]
    assert set(found[0]) == set(SEGMENTS.names)


def test_a_larger_subset_contains_every_smaller_one():
    rows = [segment(n) for n in range(20)]
    small, large = wmt(rows, 5), wmt(rows, 8)
    assert len(small) == 5 and {r["item_id"] for r in small} < {r["item_id"] for r in large}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (segment(1), r"wmt.jsonl, row 2: document_id and segment_id occur twice \(d:1\)"),
        (segment(2, target=" "), r"wmt.jsonl, row 2: target is empty \(d:2\)"),
        (segment(2, lp="en-fr_FR"), r"wmt.jsonl, row 2: lp is 'en-fr_FR', expected 'en-de_DE'"),
    ],
)
def test_segment_errors_name_file_and_row(row, message):
    with pytest.raises(TableError, match=message):
        wmt([segment(1), row])


def prompt(n: int, text: str = "", language="deu", script="Latn") -> dict:
    return {"id": n, "inputs": text or f"q{n}", "targets": f"a{n}", "language": language, "script": script}


def prompts(machine, human=(), wanted=2, code="de", language=GERMAN):
    configs = {"dolly_machine_translated": ("mt.jsonl", machine), "dolly_human_edited": ("he.jsonl", list(human))}
    return normalise_prompts(configs, code, language, wanted, 1)


def test_edited_prompts_replace_translated_ones_by_id():
    found = prompts([prompt(1), prompt(2)], [prompt(2, "better")])
    assert {(r["prompt_id"], r["prompt"], r["config"]) for r in found} == {
        ("1", "q1", "dolly_machine_translated"),
        ("2", "better", "dolly_human_edited"),
    }
    assert set(found[0]) == set(PROMPTS.names)


def test_language_and_script_are_both_filtered_on():
    rows = [prompt(1, language="zho", script="Hant"), prompt(1, "简", language="zho", script="Hans"), prompt(2)]
    assert [row["prompt"] for row in prompts(rows, wanted=1, code="zh", language=CHINESE)] == ["简"]


def test_the_same_prompts_are_sampled_in_every_language():
    german = prompts([prompt(n) for n in range(30)], wanted=6)
    chinese = prompts(
        [prompt(n, language="zho", script="Hans") for n in range(30)], wanted=6, code="zh", language=CHINESE
    )
    assert [r["prompt_id"] for r in german] == [r["prompt_id"] for r in chinese]
    assert {r["item_id"] for r in german}.isdisjoint(r["item_id"] for r in chinese)


def test_too_few_prompts_is_an_error():
    with pytest.raises(TableError, match=r"has 1 prompts in German .* asks for 5"):
        prompts([prompt(1)], wanted=5)


def test_a_duplicate_id_names_file_and_row():
    with pytest.raises(TableError, match=r"mt.jsonl, row 2: id 1 occurs twice"):
        prompts([prompt(1), prompt(1)])
