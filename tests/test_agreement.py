"""Kappa by hand and against published examples."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from polypref.agreement import judge_agreement, self_agreement
from polypref.tables import TableError
from polypref.win_rates import judgements


def test_fleiss_kappa_over_orders_by_hand():
    hand = synthetic.judged_by_hand(
        ("A", "i1", "policy", "policy"), ("A", "i2", "policy", "opponent"), ("A", "i3", "opponent", "opponent"),
        ("A", "i4", "tie", ""),
    )  # fmt: skip
    row = self_agreement(judgements(hand, "balanced", 1, 1)).iloc[1]
    # Three items: observed agreement 2/3; shares 1/2 and 1/2, so 1/2 by chance.
    assert (row["raters"], row["ratings"], row["pairs"]) == ("orders", 2, 3)
    assert row["agreement_percent"] == pytest.approx(200 / 3)
    assert row["kappa"] == pytest.approx((2 / 3 - 1 / 2) / (1 / 2))


def test_runs_of_a_judge_without_position_bias_agree():
    steady = synthetic.judged_by_hand(*(("A", f"i{n}", *[("policy", "opponent")[n % 2]] * 2) for n in range(10)))
    row = self_agreement(judgements(steady, "paper", 5, 1)).iloc[0]
    assert (row["raters"], row["ratings"], row["kappa"], row["agreement_percent"]) == ("runs", 5, 1, 100)
    alone = steady.assign(verdict="policy")
    assert np.isnan(self_agreement(judgements(alone, "paper", 5, 1)).iloc[0]["kappa"])


def test_cohens_kappa_of_two_judges():
    """A 2 x 2 table of 20, 5, 10 and 15: observed 0.7, by chance 0.5, kappa 0.4."""
    labels = [("policy", "policy")] * 20 + [("policy", "opponent")] * 5
    labels += [("opponent", "policy")] * 10 + [("opponent", "opponent")] * 15
    frame = pd.DataFrame({"item_id": [f"i{n}" for n in range(50)], "policy": "A", "opponent": "x",
                          "order": "policy_first", "status": "parsed"})  # fmt: skip
    first, second = (frame.assign(verdict=[pair[n] for pair in labels]) for n in (0, 1))
    row = judge_agreement(first, second).iloc[0]
    assert (row["judgements"], row["agreement_percent"], row["kappa"]) == (50, 70, pytest.approx(0.4))
    assert judge_agreement(first, first).iloc[0]["kappa"] == pytest.approx(1)
    with pytest.raises(TableError, match="two judges differ in A / x"):
        judge_agreement(first, second.assign(policy="A", item_id=["A / x"] * 50).drop_duplicates("item_id"))
