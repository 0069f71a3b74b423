"""The report of a run with several training seeds, and what it says with one."""

import re

import pandas as pd
import synthetic
from reporting import make_report

from polypref.report.headline import headline
from polypref.report.layout import seed_rows


def test_a_report_on_several_seeds(tmp_path):
    """The three policies count as one architecture: the tables show its mean, and next to it each seed."""
    synthetic.write_results(tmp_path, prompts=10, per_source=8, n_segments=6)
    trained = {"A": ("A", "A.s42"), "B": ("A", "A.s1"), "C": ("A", "A.s2")}
    index = make_report(tmp_path, trained, drawn=False)
    first, rates = ((index.parent / f"{name}.html").read_text(encoding="utf-8") for name in ("index", "win_rates"))
    assert "No conclusion" in first and "with one seed" not in rates, "the judge of this run fails its checks"
    tables = {name: pd.read_csv(tmp_path / f"tables/{name}.csv") for name in
              ("win_rates", "improvement_by_language", "seeds", "position_bias", "health")}  # fmt: skip
    assert set(tables["win_rates"]["policy"]) == {"base", "A"}
    assert set(tables["improvement_by_language"]["policy"]) == {"A"}
    assert tables["improvement_by_language"]["seeds"].eq(3).all()
    assert set(tables["position_bias"]["policy"]) == {"all", "base", "A.s42", "A.s1", "A.s2"}
    assert set(tables["seeds"]["seed"]) == {"1", "2", "42", "mean"}
    assert {"A.s42", "A.s1", "A.s2"} <= set(tables["health"]["about"])
    assert re.findall(r"<td>(\w+)</td>", rates[rates.index('id="seeds"') :])[:4] == ["1", "2", "42", "mean"]
    assert "A.s42" in (index.parent / "data/verdicts-de.js").read_text(encoding="utf-8")
    assert set(pd.read_csv(tmp_path / "figures/training.csv")["architecture"]) == {"A.s42", "A.s1", "A.s2"}


def test_headline_says_how_many_seeds_there_are():
    improvement = pd.DataFrame([
        {"policy": "B", "opponent": opponent, "language": code, "improvement": 3, "low": 1, "high": 5, "prompts": 9}
        for opponent in ("all", "x") for code in ("all", "de")
    ])  # fmt: skip
    assert "with one seed" in headline(improvement).detail and "not account" in headline(improvement).detail
    several = headline(improvement.assign(seeds=3)).detail
    assert "with 3 seeds" in several and "of prompts and of seeds" in several


def test_rows_of_seeds():
    table = pd.DataFrame({"policy": "A", "seed": ["1", "mean"] * 2, "language": ["all", "all", "de", "de"]})
    assert [row["seed"] for row in seed_rows(table)] == ["1", "mean"] and seed_rows(None) == []
