"""Agreement of a judge with itself over the two orders."""

import numpy as np
import pytest
from synthetic import judged_by_hand

from polypref.evaluation.agreement import self_agreement
from polypref.health.checks import grade
from polypref.health.judge import order_kappa


def test_kappa_is_that_of_statsmodels():
    rng = np.random.default_rng(3)
    specs = [("A", f"i{n}", *rng.choice(["policy", "opponent", "tie"], 2)) for n in range(60)]
    verdicts = judged_by_hand(*specs)
    expected = self_agreement(verdicts.assign(run=0)).iloc[0]
    found = order_kappa(verdicts, 200)
    assert found["kappa"] == pytest.approx(expected["kappa"])
    assert found["changed"] == pytest.approx(100 - expected["agreement_percent"]) and found["low"] < found["kappa"]


def test_implied_accuracy_of_a_judge_that_errs_independently():
    rng = np.random.default_rng(4)
    truth = rng.choice(["policy", "opponent"], 4000)
    other = {"policy": "opponent", "opponent": "policy"}
    specs = [
        ("A", f"i{n}", *(t if rng.random() < 0.7 else other[t] for _ in range(2)))
        for n, t in enumerate(map(str, truth))
    ]
    assert order_kappa(judged_by_hand(*specs), 50)["accuracy"] == pytest.approx(70, abs=2)


def test_a_judge_that_only_says_tie_has_no_kappa():
    found = order_kappa(judged_by_hand(*[("A", f"i{n}", "tie", "tie") for n in range(5)]), 50)
    assert np.isnan(found["kappa"]) and found["pairs"] == 5


@pytest.mark.parametrize(
    ("value", "limits", "better", "tested", "status"),
    [
        (5, [5, 25], "low", None, "pass"),
        (5.1, [5, 25], "low", None, "warn"),
        (26, [5, 25], "low", None, "fail"),
        (0.5, [0.4, 0.0], "high", 0.3, "pass"),
        (0.2, [0.4, 0.0], "high", 0.1, "warn"),
        (0.2, [0.4, 0.0], "high", -0.1, "fail"),
        (99, [None, None], "low", None, "pass"),
        (float("nan"), [5, 25], "low", None, "unknown"),
    ],
)
def test_grades(value, limits, better, tested, status):
    assert grade(value, limits, better, tested) == status
