"""External files: formats, other column names and values, graded preferences, and error messages."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import synthetic

from polypref.cli import main
from polypref.evaluation.external import as_judged
from polypref.evaluation.external_files import read_file
from polypref.files.tables import TableError
from polypref.translation_quality import comet

VERDICTS = pd.concat([synthetic.verdicts(p, code, 12) for p in ("base", "A") for code in ("de", "is")])


def save(frame: pd.DataFrame, path) -> str:
    writers = {".csv": lambda: frame.to_csv(path, index=False), ".parquet": lambda: frame.to_parquet(path, index=False),
               ".jsonl": lambda: frame.to_json(path, orient="records", lines=True, force_ascii=False)}  # fmt: skip
    writers[path.suffix]()
    return str(path)


def tables(folder) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path, keep_default_na=False) for path in folder.glob("*.csv")}


def test_every_format_gives_the_same_tables(tmp_path):
    found = []
    for ending in ("csv", "jsonl", "parquet"):
        path, out = save(VERDICTS, tmp_path / f"v.{ending}"), tmp_path / ending
        assert main(["score-verdicts", path, "--base", "base", "--draws", "200", "--out", str(out)]) == 0
        found.append(tables(out))
    assert found[0].keys() == {"estimates", "improvement", "position_bias", "self_agreement"}
    for other in found[1:]:
        for name, table in found[0].items():
            pd.testing.assert_frame_equal(table, other[name])


def test_other_values_and_column_names(tmp_path, capsys):
    """Files with two models and a winner, as in MT-Bench and Chatbot Arena."""
    frame = pd.DataFrame({"question_id": [1, 2, 3, 4], "model_a": "x", "model_b": "y",
                          "winner": ["model_a", "model_a", "model_b", "tie (bothbad)"]})  # fmt: skip
    path = save(frame, tmp_path / "votes.jsonl")
    command = ["score-verdicts", path, "--draws", "50"]
    assert main([*command, "--column", "policy=model_a", "--column", "opponent=model_b"]) == 2
    assert "column verdict is missing; found question_id" in capsys.readouterr().err
    command += ["--column", "policy=model_a", "--column", "opponent=model_b", "--column", "verdict=winner"]
    assert main(command) == 2
    assert "verdict is 'model_a' in row 1" in capsys.readouterr().err
    command += ["--column", "prompt_id=question_id", "--policy-wins", "model_a", "--opponent-wins", "model_b"]
    assert main([*command, "--tie", "tie (bothbad)", "--out", str(tmp_path / "out")]) == 0
    row = tables(tmp_path / "out")["estimates"].iloc[0]
    assert (row["win_percent"], row["loss_percent"], row["tie_percent"], row["score"]) == (50, 25, 25, 62.5)


def test_graded_preferences(tmp_path):
    """In AlpacaEval's preferences, 1 is a loss and 2 a win; the win rate is the mean, with a plain standard error."""
    frame = pd.DataFrame({"preference": [1.0, 2.0, 1.9, 1.5, None], "policy": "m", "opponent": "ref"})
    path = tmp_path / "annotations.json"
    frame.to_json(path, orient="records")
    judged = as_judged(read_file(path, {"points": "preference"}), points_range=(1, 2))
    assert judged["verdict"].tolist() == ["opponent", "policy", "policy", "tie", ""]
    assert judged["points"].tolist() == pytest.approx([0, 1, 0.9, 0.5, 0])
    with pytest.raises(TableError, match="points are outside 0 to 1 in row 2"):
        as_judged(frame.rename(columns={"preference": "points"}))


def test_lengths_come_from_texts(tmp_path):
    frame = VERDICTS.assign(policy_text="long answer", opponent_text="short")
    assert main(["score-verdicts", save(frame, tmp_path / "v.csv"), "--draws", "50", "--out", str(tmp_path / "o")]) == 0
    assert "length_bias" in tables(tmp_path / "o")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda f: f.drop(columns="policy"), "column policy is missing"),
        (lambda f: f.head(0), "there are no rows"),
        (lambda f: f.assign(order="left"), "order is not policy_first or opponent_first in row 1"),
        (lambda f: f.assign(status="parsed", verdict=""), "contradict each other in row 1"),
        (lambda f: pd.concat([f, f]), "a pair occurs more than once in a run and order: p0000"),
    ],
)
def test_invalid_verdicts(change, complaint):
    with pytest.raises(TableError, match=complaint):
        as_judged(change(VERDICTS))


def test_words_that_pandas_reads_as_missing_are_kept(tmp_path):
    path = save(VERDICTS.assign(policy="NA"), tmp_path / "v.csv")
    assert set(read_file(path)["policy"]) == {"NA"}


@pytest.fixture
def translated():
    segments = synthetic.segments("ja")
    return pd.concat([
        synthetic.translations(segments, noise).rename(columns={"text": "hypothesis"})[["item_id", "hypothesis"]]
        .merge(segments[["item_id", "document_id", "source", "reference"]]).assign(translator=name, language="ja")
        for name, noise in (("good", 0.1), ("weak", 0.5))
    ])  # fmt: skip


def test_translations(translated, tmp_path):
    path = save(translated, tmp_path / "t.jsonl")
    assert main(["score-translations", path, "--draws", "100", "--out", str(tmp_path / "o")]) == 0
    found = tables(tmp_path / "o")
    assert "tok:ja-mecab" in found["scores"]["signature_bleu"][0]
    assert found["scores"]["bleu_corpus"][0] > found["scores"]["bleu_corpus"][1]
    assert len(found["comparisons"]) == 4


def test_invalid_translations(translated, tmp_path, capsys):
    for change, complaint in (
        (lambda f: f.drop(columns="reference"), "column reference is missing"),
        (lambda f: f.iloc[1:], "good, ja: translations and segments differ; 1 missing: doc0:0"),
        (lambda f: f.assign(reference=f["reference"] + f["translator"]), "different references, sources or documents"),
    ):
        assert main(["score-translations", save(change(translated), tmp_path / "t.csv"), "--draws", "50"]) == 2
        assert complaint in capsys.readouterr().err


def test_comet_is_recorded_and_a_missing_package_is_reported(translated, tmp_path, monkeypatch, capsys):
    path = save(translated, tmp_path / "t.csv")
    command = ["score-translations", path, "--draws", "50", "--comet", "my.ckpt"]
    monkeypatch.setitem(sys.modules, "comet", None)
    assert main(command) == 2
    assert "pip install unbabel-comet" in capsys.readouterr().err
    model = SimpleNamespace(predict=lambda rows, **_: SimpleNamespace(system_score=len(rows) / 100))
    fake = ModuleType("comet")
    fake.load_from_checkpoint = lambda path: model
    monkeypatch.setitem(sys.modules, "comet", fake)
    monkeypatch.setattr(comet.metadata, "version", lambda name: "2.2.4")
    assert main([*command, "--out", str(tmp_path / "o")]) == 0
    row = tables(tmp_path / "o")["scores"].iloc[0]
    assert row["comet"] == translated["item_id"].nunique()
    assert row["signature_comet"] == "unbabel-comet:2.2.4|checkpoint:my.ckpt"


def test_alpaca_evals_preferences(tmp_path):
    """Preferences range from 1 to 2; 0 is a tie in older files, and nulls are excluded, as in AlpacaEval 0.6.6."""
    rows = [
        {"instruction": f"i{n}", "generator_1": "base", "generator_2": "mine", "preference": p, "dataset": "koala"}
        for n, p in enumerate([1.9900139974, 1.0, 0, 1.5, None, 2.0])
    ]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    names = ("policy=generator_2", "opponent=generator_1", "points=preference", "prompt_id=instruction")
    options = [part for name in names for part in ("--column", name)]
    arguments = [
        "score-verdicts",
        str(path),
        *options,
        "--points-range",
        "1",
        "2",
        "--out",
        str(tmp_path),
        "--draws",
        "20",
    ]
    assert main([*arguments, "--tie", "0", "--drop-unparsed"]) == 0
    row = pd.read_csv(tmp_path / "estimates.csv").iloc[0]
    points = pd.Series([0.9900139974, 0, 0.5, 0.5, 1])
    assert (row["judgements"], row["errors"]) == (5, 1)
    assert row["score"] == pytest.approx(100 * points.mean()) and row["score_error"] == pytest.approx(
        100 * points.sem()
    )
    assert (row["win_percent"], row["tie_percent"]) == pytest.approx((40, 40))
    assert main([*arguments, "--tie", "0"]) == 0
    assert pd.read_csv(tmp_path / "estimates.csv").iloc[0]["unparsed_percent"] == pytest.approx(100 / 6)
    assert main(arguments) == 2, "0 is outside the range from 1 to 2"
