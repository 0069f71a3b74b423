"""Ratings by COMETKiwi. Its checkpoint is gated, so a stand-in for the package scores the lengths of the texts."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from reporting import run_script

from polypref.files.schemas import PAIRS, RATINGS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import TableError, read_rows
from polypref.translation_quality.comet import rate_by_comet

TEXTS_OF = [("a", "Ein Hund.", None), ("b", "", "the answer is empty"), ("c", "Ein sehr langer Satz.", None)]
SOURCES = {"a": "A dog.", "b": "A cat.", "c": "No."}


def translations() -> list[dict]:
    made = {"language": "de", "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1, "model": "m",
            "checkpoint": "c", "revision": "r", "decoding": "{}"}  # fmt: skip
    return [{**made, "item_id": item, "text": text, "error": error} for item, text, error in TEXTS_OF]


@pytest.fixture
def package(monkeypatch) -> list:
    """A module `comet` whose model has a score of a tenth of the lengths' ratio; the list of what it is asked."""
    asked = []

    def predict(samples, progress_bar):
        asked.extend(samples)
        return SimpleNamespace(scores=[len(row["mt"]) / len(row["src"]) / 10 for row in samples])

    fake = ModuleType("comet")
    fake.load_from_checkpoint = lambda path: SimpleNamespace(predict=predict)
    fake.download_model = lambda name: f"{name}.ckpt"
    monkeypatch.setitem(sys.modules, "comet", fake)
    return asked


def test_translations_are_rated_without_a_reference(package, tmp_path):
    pairs = [{"item_id": item, "source": "s", "row": 1, "task": "", "prompt": "p", "chosen": text, "rejected": "r"}
             for item, text in SOURCES.items()]  # fmt: skip
    write_table(tmp_path / "pairs.parquet", pairs, PAIRS)
    write_table(tmp_path / "de.parquet", translations(), TEXTS)
    run_script(
        "rate_by_comet",
        wildcards=SimpleNamespace(field="chosen", model="m", language="de"),
        input={"pairs": tmp_path / "pairs.parquet", "translations": tmp_path / "de.parquet"},
        output={"ratings": tmp_path / "ratings/de.parquet"},
        params={"checkpoint": "Unbabel/wmt22-cometkiwi-da"},
    )
    rows = read_rows(tmp_path / "ratings/de.parquet", RATINGS)
    assert package == [{"src": "A dog.", "mt": "Ein Hund."}, {"src": "No.", "mt": "Ein sehr langer Satz."}]
    assert [row["rating"] for row in rows] == [pytest.approx(15), None, pytest.approx(70)]
    assert [row["status"] for row in rows] == ["parsed", "error", "parsed"]
    assert {row["checkpoint"] for row in rows} == {"Unbabel/wmt22-cometkiwi-da"}


def test_scores_are_limited_to_the_scale(package):
    rows = rate_by_comet({"a": "A"}, [{**translations()[0], "text": "A" * 50}], "kiwi.ckpt")
    assert rows[0]["rating"] == 100


def test_a_missing_package_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "comet", None)
    with pytest.raises(TableError, match="pip install unbabel-comet"):
        rate_by_comet(SOURCES, translations(), "kiwi.ckpt")
