"""Ratings of translations in the diagnostics, their table, and pairs that are left out for a low one."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from building import build_dataset
from reporting import run_script

from polypref.config.diagnostics import RATED_FLAGS
from polypref.config.loading import load_config, read_languages
from polypref.datasets.counts import tabulate_funnel
from polypref.datasets.diagnostic_tables import RATING_COLUMNS, tabulate_diagnostics, tabulate_ratings
from polypref.datasets.texts import Flags, Ratings
from polypref.files.result_tables import read_csv, read_frame
from polypref.files.schemas import DATASET, DIAGNOSTICS, DROPPED, FIELDS, PAIRS, RATED_DIAGNOSTICS, RATINGS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import iter_batches, read_rows
from polypref.plan.plan import Plan
from polypref.plan.settings import expected_texts, rated_fields

ROOT = Path(__file__).parents[2]
MADE = {"model": "m", "checkpoint": "c", "revision": "r", "decoding": "{}", "prompt_tokens": 1, "completion_tokens": 1,
        "error": None}  # fmt: skip
GERMAN = {"prompt": "Was liegt am Fluss?", "chosen": "Am Ufer stehen alte Weiden.", "rejected": "Ich weiß es nicht."}
GIVEN = {"prompt": [90.0, 20.0, None], "chosen": [80.0, 85.5, 49.9], "rejected": [10.0, None, 50.0]}
"""Ratings of three pairs."""


def plan_of(**changes) -> Plan:
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    raw = raw | {"languages": ["en", "de"], "rating": {"rater": "judge"}} | changes
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def write_ratings(path: Path, ratings: list[float | None]) -> str:
    rows = [
        {"item_id": f"i{n}", "language": "de", "reply": "", "rating": rating, **MADE,
         "status": "unparsed" if rating is None else "parsed"}
        for n, rating in enumerate(ratings)
    ]  # fmt: skip
    write_table(path, rows, RATINGS)
    return str(path)


@pytest.fixture
def rated(tmp_path) -> Path:
    """The diagnostics of an architecture, all fields of which are translated into German and rated."""
    plan = plan_of()
    pairs = [
        {"item_id": f"i{n}", "source": "s", "row": n, "task": "", "prompt": f"What is at river {n}?",
         "chosen": f"There are {n} old willows.", "rejected": "I do not know."}
        for n in range(3)
    ]  # fmt: skip
    write_table(tmp_path / "pairs.parquet", pairs, PAIRS)
    for field, text in GERMAN.items():
        rows = [{"item_id": f"i{n}", "language": "de", "text": f"{text} {n}", "finish_reason": "stop", **MADE}
                for n in range(3)]  # fmt: skip
        write_table(tmp_path / f"{field}.parquet", rows, TEXTS)
    fields = {"de": {field: str(tmp_path / f"{field}.parquet") for field in FIELDS}, "en": dict.fromkeys(FIELDS)}
    ratings = {"de": {field: write_ratings(tmp_path / f"ratings/{field}.parquet", GIVEN[field]) for field in FIELDS}}
    run_script(
        "diagnose_pairs",
        wildcards=SimpleNamespace(architecture="A"),
        input={"pairs": tmp_path / "pairs.parquet", "trainee": [], "texts": list(fields["de"].values()),
               "ratings": list(ratings["de"].values())},
        output={"diagnostics": tmp_path / "diagnostics/A.parquet"},
        params={"fields": fields, "trainee": {"path": str(ROOT / "resources/demo/models/base"), "revision": None},
                "languages": ["en", "de"], "expected": expected_texts(plan, "A"), "ratings": ratings},
    )  # fmt: skip
    return tmp_path


def test_ratings_are_in_the_diagnostics_and_low_ones_are_flagged(rated):
    rows = {(row["language"], row["item_id"]): row
            for row in read_rows(rated / "diagnostics/A.parquet", RATED_DIAGNOSTICS)}  # fmt: skip
    for n in range(3):
        german, english = rows["de", f"i{n}"], rows["en", f"i{n}"]
        assert [german[f"{field}_rating"] for field in FIELDS] == [GIVEN[field][n] for field in FIELDS]
        assert [english[f"{field}_rating"] for field in FIELDS] == [None] * 3
        assert not set(english["flags"]) & set(RATED_FLAGS)
    low = [sorted(set(rows["de", f"i{n}"]["flags"]) & set(RATED_FLAGS)) for n in range(3)]
    assert low == [["rejected_low_rating"], ["prompt_low_rating"], ["chosen_low_rating"]]
    assert read_frame(rated / "diagnostics/A.parquet", DIAGNOSTICS)["flags"].map(len).sum() >= 3


def test_pairs_are_left_out_for_a_low_rating_and_counted(rated):
    plan = plan_of(diagnostics={"drop": ["chosen_low_rating", "prompt_low_rating"]})
    run_script(
        "build_dataset",
        wildcards=SimpleNamespace(architecture="A"),
        input={"pairs": rated / "pairs.parquet", "diagnostics": [str(rated / "diagnostics/A.parquet")],
               "texts": [str(rated / f"{field}.parquet") for field in FIELDS]},
        output={"dataset": rated / "datasets/A.parquet", "dropped": rated / "datasets/A.dropped.parquet"},
        params={"fields": {"de": {field: str(rated / f"{field}.parquet") for field in FIELDS}},
                "drop": plan.config.dropped_flags},
    )  # fmt: skip
    assert read_frame(rated / "datasets/A.parquet", DATASET)["item_id"].tolist() == ["i0"]
    left = read_frame(rated / "datasets/A.dropped.parquet", DROPPED).set_index("item_id")
    assert left["step"].eq("diagnose").all()
    assert left["reason"].to_dict() == {"i1": "prompt low rating", "i2": "chosen low rating"}
    pairs = read_frame(rated / "pairs.parquet", PAIRS)
    left = left.reset_index()
    frames = ([read_frame(rated / "datasets/A.parquet", DATASET)], [left])
    funnel = tabulate_funnel({"s": ([pairs], [left[:0]])}, [pairs], [left[:0]], {"A": frames}, ["de"])
    counted = funnel[funnel["stage"].eq("architecture") & funnel["step"].eq("diagnose")]
    assert dict(zip(counted["reason"], counted["rows"], strict=True)) == {
        "prompt low rating": 1,
        "chosen low rating": 1,
    }


def test_the_table_has_each_field_and_language(rated):
    frame = read_frame(rated / "diagnostics/A.parquet", RATED_DIAGNOSTICS)
    pieces = [frame[:2], frame[2:]]
    table = tabulate_ratings({"A": pieces, "B": pieces}, {"A": ["prompt", "chosen"], "B": []}, ["de"], 50)
    assert list(table.columns) == RATING_COLUMNS and table["architecture"].eq("A").all() and len(table) == 4
    for code in ("all", "de"):
        rows = table[table["language"].eq(code)].set_index("field")
        assert rows["translations"].eq(3).all(), "English texts are no translations"
        assert rows["mean"].round(2).to_dict() == {"prompt": 55, "chosen": 71.8}
        assert rows["below_percent"].round(1).to_dict() == {"prompt": 50, "chosen": 33.3}
        assert rows["unrated_percent"].round(1).to_dict() == {"prompt": 33.3, "chosen": 0}


def test_a_rater_that_never_replies_with_a_number():
    frame = pd.DataFrame({"language": ["de"] * 4, "prompt_rating": [None] * 4}).astype({"prompt_rating": float})
    row = tabulate_ratings({"A": [frame]}, {"A": ["prompt"]}, ["de", "is"], 50).iloc[0]
    assert row["unrated_percent"] == 100 and pd.isna(row["mean"]) and pd.isna(row["below_percent"])


def test_the_script_writes_the_table_of_ratings_with_the_flags(rated, tmp_path):
    source = read_frame(rated / "pairs.parquet", PAIRS)
    for name in ("sources/s", "datasets/A"):
        write_table(tmp_path / f"{name}.dropped.parquet", [], DROPPED)
    write_table(tmp_path / "pairs.dropped.parquet", [], DROPPED)
    write_table(tmp_path / "sources/s.parquet", source.to_dict("records"), PAIRS)
    texts = {code: {field: None for field in FIELDS} for code in ("en", "de")}
    kept, _ = build_dataset(source.to_dict("records"), texts)
    write_table(tmp_path / "datasets/A.parquet", kept, DATASET)
    out = tmp_path / "tables"
    tables = ("funnel", "dataset_counts", "diagnostics", "lengths", "ratings")
    run_script(
        "tabulate_datasets",
        input={"sources": [tmp_path / "sources/s.parquet"], "sources_dropped": [tmp_path / "sources/s.dropped.parquet"],
               "pairs": rated / "pairs.parquet", "pairs_dropped": tmp_path / "pairs.dropped.parquet",
               "datasets": [tmp_path / "datasets/A.parquet"],
               "datasets_dropped": [tmp_path / "datasets/A.dropped.parquet"],
               "diagnostics": [rated / "diagnostics/A.parquet"]},
        output={name: out / f"{name}.csv" for name in tables},
        params={"languages": ["en", "de"], "rated": {"A": rated_fields(plan_of())["A"]}, "threshold": 50},
    )  # fmt: skip
    ratings = read_csv(out / "ratings.csv")
    assert list(ratings["field"].unique()) == list(FIELDS) and set(ratings["language"]) == {"all", "de"}
    flags = read_csv(out / "diagnostics.csv").set_index("language")
    assert flags.loc["de", list(RATED_FLAGS)].tolist() == [1, 1, 1] and flags.loc["en", "chosen_low_rating"] == 0
    frames = {"A": [read_frame(rated / "diagnostics/A.parquet", DIAGNOSTICS)]}
    assert not set(RATED_FLAGS) & set(tabulate_diagnostics(frames).columns)


def test_ratings_are_read_beside_the_pairs(tmp_path):
    pairs = [{"item_id": f"i{n:05d}", "source": "s", "row": n, "task": "", "prompt": "p", "chosen": "c",
              "rejected": "r"} for n in range(4100)]  # fmt: skip
    write_table(tmp_path / "pairs.parquet", pairs, PAIRS)
    files = {}
    for code, first in (("de", 0), ("is", 1)):
        rows = [{"item_id": pair["item_id"], "language": code, "reply": "", "status": "parsed", **MADE,
                 "rating": float((first + n) % 101)} for n, pair in enumerate(pairs)]  # fmt: skip
        write_table(tmp_path / f"{code}.parquet", rows, RATINGS)
        files[code] = {"chosen": str(tmp_path / f"{code}.parquet")}
    ratings = Ratings(files)
    for code, first in (("de", 0), ("is", 1)):
        found = {}
        for batch in iter_batches(tmp_path / "pairs.parquet", PAIRS):
            given = ratings.of(code, batch)
            assert list(given["chosen"]) == batch["item_id"].to_pylist()
            found |= given["chosen"]
        assert found == {pair["item_id"]: (first + n) % 101 for n, pair in enumerate(pairs)}
    assert ratings.of("en", batch) == {} and Flags([]).of("en", batch) is None
