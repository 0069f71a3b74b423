"""Length bias and wrong languages, compared with manual results, a simulated bias, and plain logistic regression."""

import time

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import synthetic

from polypref.evaluation.biases import (
    ANSWER_FLAGS,
    add_lengths,
    detect_languages,
    flag_answers,
    length_bias,
    wrong_languages,
)
from polypref.evaluation.fractional_logit import fractional_logit


def simulate(prompts: int, slope: float, quality: float, seed: int = 1) -> pd.DataFrame:
    """Simulate verdicts with log-odds `quality` + `slope` x standardised difference in length; the policy is longer."""
    rng = np.random.default_rng(seed)
    difference = rng.normal(40, 40, prompts).round()
    odds = quality + slope * difference / difference.std(ddof=1)
    verdict = np.where(rng.random(prompts) < 1 / (1 + np.exp(-odds)), "policy", "opponent")
    return pd.DataFrame({"prompt_id": np.arange(prompts), "policy": "A", "opponent": "x", "language": "de",
                         "verdict": verdict, "status": "parsed", "policy_length": 200 + difference,
                         "opponent_length": 200})  # fmt: skip


def test_shares_by_hand():
    frame = pd.DataFrame({"prompt_id": range(5), "policy": "A", "opponent": "x", "language": "de", "status": "parsed",
                          "verdict": ["policy", "opponent", "policy", "tie", "policy"],
                          "policy_length": [9, 9, 1, 9, 5], "opponent_length": [5] * 5})  # fmt: skip
    row = length_bias(frame).iloc[1]
    # won by the longer, the shorter and the shorter answer; ties and equal lengths are not decided
    assert (row["judgements"], row["decided"], row["longer_percent"]) == (5, 3, pytest.approx(100 / 3))
    assert row["score"] == pytest.approx(70) and np.isnan(row["score_equal_length"])


def test_with_clusters_of_one_the_regression_is_a_plain_logistic_regression():
    frame = simulate(400, 0.8, 0.0)
    row = length_bias(frame).iloc[1]
    length = frame["policy_length"] - frame["opponent_length"]
    design = sm.add_constant(length / length.std())
    fit = sm.Logit(frame["verdict"].eq("policy").astype(float), design).fit(disp=0, cov_type="HC1")
    assert row["length_slope"] == pytest.approx(fit.params.iloc[1], rel=1e-6)
    low, high = 1 / (1 + np.exp(-fit.conf_int().iloc[0]))
    assert row["score_equal_length"] == pytest.approx(100 / (1 + np.exp(-fit.params.iloc[0])), rel=1e-6)
    assert (row["score_equal_length_low"], row["score_equal_length_high"]) == pytest.approx(
        (100 * low, 100 * high), rel=0.01
    )


def test_students_quantile_is_used_for_few_prompts():
    """The interval equals statsmodels' with Student's quantile; with the normal quantile, it is 13% narrower."""
    frame = simulate(60, 0.4, 0.0)
    frame["prompt_id"] = np.arange(60) % 10
    row = length_bias(frame).iloc[1]
    length = frame["policy_length"] - frame["opponent_length"]
    model = sm.GLM(frame["verdict"].eq("policy").astype(float), sm.add_constant(length / length.std()),
                   family=sm.families.Binomial())  # fmt: skip
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": frame["prompt_id"]}, use_t=True)
    low, high = 100 / (1 + np.exp(-fit.conf_int().iloc[0]))
    assert (row["score_equal_length_low"], row["score_equal_length_high"]) == pytest.approx((low, high))


def test_shares_with_ties_and_clusters_are_fitted_as_by_statsmodels():
    rng = np.random.default_rng(3)
    for rows, groups in ((40, 12), (500, 60), (3000, 3000)):
        values, clusters = rng.normal(0, 2, rows), np.concatenate([np.arange(groups), rng.integers(0, groups, rows)])
        clusters = clusters[:rows]
        shares = np.clip(np.round(2 * rng.random(rows) + 0.3 * values) / 2, 0, 1)
        model = sm.GLM(shares, sm.add_constant(values), family=sm.families.Binomial())
        known = model.fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
        fit = fractional_logit(shares, values, clusters)
        assert (fit.intercept, fit.slope) == pytest.approx(tuple(known.params))
        assert (fit.low, fit.high) == pytest.approx(tuple(known.conf_int()[0]))


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_shares_that_the_values_determine_are_not_fitted(gap):
    values = np.concatenate([np.linspace(-2, -gap, 20), np.linspace(gap, 2, 20)])
    assert fractional_logit((values > 0).astype(float), values, np.arange(40)) is None
    assert fractional_logit(np.ones(40), values, np.arange(40)) is None


def test_a_known_bias_is_removed():
    """The policy is only longer, not better: it wins well over half, but half at equal length."""
    row = length_bias(simulate(20_000, 1.0, 0.0)).iloc[0]
    assert row["score"] > 65 and row["longer_percent"] > 65
    assert row["score_equal_length"] == pytest.approx(50, abs=1.5)
    assert row["score_equal_length_low"] < 50 < row["score_equal_length_high"]


def test_there_is_no_slope_if_length_decides_everything():
    frame = simulate(60, 0, 0)
    longer = frame["policy_length"] > frame["opponent_length"]
    row = length_bias(frame.assign(verdict=np.where(longer, "policy", "opponent"))).iloc[0]
    assert row["longer_percent"] > 95 and np.isnan(row["length_slope"])


def test_the_lengths_of_both_answers_are_added():
    verdicts = synthetic.judged_by_hand(("A", "i1", "policy", "policy"), opponent="x")
    answers = pd.DataFrame({"name": ["A", "x"], "item_id": "i1", "length": [4, 7]})
    found = add_lengths(verdicts, answers)
    assert found["policy_length"].tolist() == [4, 4] and found["opponent_length"].tolist() == [7, 7]
    assert add_lengths(verdicts, answers.head(1))["opponent_length"].isna().all()
    with pytest.raises(ValueError, match="two answers"):
        add_lengths(verdicts, pd.concat([answers, answers]))


def test_wrong_languages():
    right = pd.concat([synthetic.answers("B", code, 5).assign(name="B") for code in ("de", "ja", "ar")])
    english = right.assign(name="A", text=synthetic.SAMPLES["en"])
    short = right.assign(name="C", text="Ja .")
    answers = pd.concat([right, english, short], ignore_index=True)
    detected = detect_languages(answers, ["en", "de", "ja", "ar"])
    table = wrong_languages(answers, detected)
    overall = table[table["language"].eq("all")].set_index("name")
    assert overall.loc["B", ["answers", "short", "wrong"]].tolist() == [15, 0, 0]
    assert overall.loc["A", ["wrong_percent", "instead"]].tolist() == [100, "en"]
    assert overall.loc["C", ["answers", "short", "wrong_percent"]].tolist() == [0, 15, 0]
    flags = flag_answers(answers, detected)
    assert flags.loc[flags["flag"].eq("wrong_language"), "name"].tolist() == ["A"] * 15


def test_an_answer_can_have_several_faults():
    texts = ["again and again " * 20, "Das ist ein Haus am See und am Wald."]
    answers = pd.DataFrame({"name": "a", "language": "de", "item_id": ["i1", "i2"], "text": texts,
                            "finish_reason": ["length", "stop"]})  # fmt: skip
    flags = flag_answers(answers, detect_languages(answers, ["en", "de"]))
    assert flags[["item_id", "flag"]].to_numpy().tolist() == [["i1", flag] for flag in ANSWER_FLAGS]


def test_a_line_of_a_megabyte_is_processed_fast():
    answers = synthetic.answers("B", "de", 1).assign(name="B", text=synthetic.SAMPLES["de"] * 40 + "W" * 10**6)
    began = time.monotonic()
    table = wrong_languages(answers, detect_languages(answers, ["en", "de"]))
    assert time.monotonic() - began < 20 and table["wrong"].tolist() == [0, 0]
