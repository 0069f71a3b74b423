"""Samples of runs that are too large to show: which items they have, what is counted, and how the files are read."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
import synthetic

from polypref.datasets.diagnostics import FLAGS
from polypref.evaluation.trained import Trained
from polypref.files import schemas, tables
from polypref.report.preference_files import Preferences
from polypref.report.preference_pieces import write_preferences
from polypref.report.sample import draw
from polypref.report.verdict_files import Judgements
from polypref.report.verdict_pieces import write_verdicts

NAMES = "ABC"
PAIRS, NATIVE = 45, 4
ROWS = PAIRS * (1 + 9 * len(NAMES)) + NATIVE * (1 + len(NAMES))
MODELS = [*synthetic.POLICIES, *synthetic.OPPONENTS]
VERDICTS = 20 * 9 * len(synthetic.POLICIES) * len(synthetic.OPPONENTS) * 2


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    synthetic.write_results(folder, n_segments=6)
    kept, _ = synthetic.source("native", NATIVE)
    synthetic.write(kept, folder / "native/own/is.parquet", schemas.PAIRS)
    return folder


def preferences(folder, most: int) -> Preferences:
    files = {
        kind: {name: folder / f"{pattern.format(name)}.parquet" for name in NAMES}
        for kind, pattern in {"datasets": "datasets/{}", "dropped": "datasets/{}.dropped",
                              "diagnostics": "diagnostics/{}"}.items()
    }  # fmt: skip
    return Preferences(folder / "pairs.parquet", **files, languages=synthetic.LANGUAGES, most=most,
                       native=[folder / "native/own/is.parquet"])  # fmt: skip


def judgements(folder, most: int) -> Judgements:
    codes = synthetic.LANGUAGES
    return Judgements(
        prompts={code: folder / f"prompts/{code}.parquet" for code in codes},
        answers={name: {code: folder / f"answers/{name}/{code}.parquet" for code in codes} for name in MODELS},
        verdicts={code: [folder / f"verdicts/{name}/{code}.parquet" for name in synthetic.POLICIES] for code in codes},
        most=most, trained=Trained({}),
    )  # fmt: skip


def write_all(folder, data, most_rows: int, most_verdicts: int) -> dict:
    """Write the pieces of both pages, and return their data by name."""
    write_preferences(data, preferences(folder, most_rows))
    flags = pd.DataFrame({"name": ["A", "A"], "item_id": ["de-0000", "de-0001"], "flag": ["truncated", "repeats"]})
    write_verdicts(data, judgements(folder, most_verdicts), flags, synthetic.LANGUAGES)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(data.glob("*.js"))}
    return {name: json.loads(text[text.index(",") + 1 : text.rindex(")")]) for name, text in texts.items()}


def test_drawing_does_not_depend_on_the_order():
    ids = [f"item-{number}" for number in range(1000)]
    drawn = draw(ids, 100)
    assert draw(reversed(ids), 100) == drawn and len(set(drawn)) == 100
    assert draw(iter(ids), 50) == drawn[:50], "a smaller sample is a part of a larger one"
    assert 300 < sum(int(item[5:]) for item in drawn) / 100 < 700


def test_below_the_limits_everything_is_shown(results, tmp_path):
    assert preferences(results, ROWS).sample.whole and not preferences(results, ROWS - 1).sample.whole
    assert judgements(results, VERDICTS).sample.whole and not judgements(results, VERDICTS - 1).sample.whole
    made = write_all(results, tmp_path, ROWS, VERDICTS)
    assert len(made["items"]["items"]) == PAIRS + NATIVE
    assert not any("counts" in data for name, data in made.items() if name.startswith("reader-") and name[-1] != "0")


def test_a_sample_has_the_same_rows_as_the_whole(results, tmp_path):
    whole = write_all(results, tmp_path / "whole", ROWS, VERDICTS)
    some = write_all(results, tmp_path / "some", ROWS // 3, VERDICTS // 4)
    numbers = [number for number, item in enumerate(whole["items"]["items"]) if item in some["items"]["items"]]
    assert [whole["items"]["items"][number] for number in numbers] == some["items"]["items"]
    sample = preferences(results, ROWS // 3).sample
    assert (sample.shown, sample.total) == (len(numbers), PAIRS + NATIVE) and len(numbers) == (PAIRS + NATIVE) // 3
    assert some["original-000"] == [whole["original-000"][number] for number in numbers]
    for code in synthetic.LANGUAGES:
        assert some[f"reader-{code}-000"] == [whole[f"reader-{code}-000"][number] for number in numbers]
        for before, after in zip(whole[f"reader-{code}"]["flags"], some[f"reader-{code}"]["flags"], strict=True):
            assert after == [before[number] for number in numbers]
    sample, prompts = judgements(results, VERDICTS // 4).sample, set()
    for code in synthetic.LANGUAGES:
        before, after = whole[f"verdicts-{code}"], some[f"verdicts-{code}"]
        places = [place for place, prompt in enumerate(before["prompts"]) if prompt in after["prompts"]]
        prompts.add(tuple(before["prompts"][place][1] for place in places))
        assert some[f"answers-{code}-000"] == [whole[f"answers-{code}-000"][place] for place in places]
        assert after["flags"] == [before["flags"][place] for place in places]
        assert len(after["rows"]) == len(places) * len(before["rows"]) // 20
    assert len(prompts) == 1, "the same prompts in every language"
    assert (sample.shown, sample.total) == (9 * 5, 9 * 20)


def test_flags_outside_the_sample_are_counted(results, tmp_path):
    made = write_all(results, tmp_path, ROWS // 3, VERDICTS)
    for number, name in enumerate(NAMES):
        signs = pd.read_parquet(results / f"diagnostics/{name}.parquet")
        left = pd.read_parquet(results / f"datasets/{name}.dropped.parquet")
        for code in synthetic.LANGUAGES:
            flags = signs.loc[signs["language"].eq(code), "flags"]
            expected = {flag: sum(flag in names for names in flags) for flag in FLAGS}
            expected |= {"any": sum(map(bool, map(len, flags))), "left": int(left["language"].eq(code).sum())}
            counts = made[f"reader-{code}"]["counts"][number]
            assert {flag: counts.get(flag, 0) for flag in expected} == expected


def test_files_are_read_in_batches(results, tmp_path, monkeypatch):
    """Neither a whole file nor a row of another language becomes Python objects."""

    def never(*_, **__):
        raise AssertionError("a whole file was read")

    for reader in ("read_table", "read_pandas"):
        monkeypatch.setattr(pq, reader, never)
    for reader in ("read", "read_row_groups", "read_row_group"):
        monkeypatch.setattr(pq.ParquetFile, reader, never)
    monkeypatch.setattr(tables, "BATCH", 7)
    sizes = []
    before = tables.iter_batches

    def counted(*arguments, **options):
        for table in before(*arguments, **options):
            sizes.append(len(table))
            yield table

    for module in ("preference_files", "verdict_files"):
        monkeypatch.setattr(f"polypref.report.{module}.iter_batches", counted)
    monkeypatch.setattr("polypref.files.by_language.iter_batches", counted)
    write_all(results, tmp_path, ROWS // 3, VERDICTS // 4)
    assert max(sizes) == 7
