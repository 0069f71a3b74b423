"""Kappa computed by hand and compared with published examples."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from polypref.evaluation.agreement import fleiss, judge_agreement, self_agreement
from polypref.evaluation.win_rates import judgements
from polypref.files.tables import TableError


def test_fleiss_kappa_over_orders_by_hand():
    hand = synthetic.judged_by_hand(
        ("A", "i1", "policy", "policy"), ("A", "i2", "policy", "opponent"), ("A", "i3", "opponent", "opponent"),
        ("A", "i4", "tie", ""),
    )  # fmt: skip
    row = self_agreement(judgements(hand, "balanced", 1, 1)).iloc[1]
    # Three items: the observed agreement is 2/3; with shares of 1/2 and 1/2, that by chance is 1/2.
    assert (row["raters"], row["ratings"], row["pairs"]) == ("orders", 2, 3)
    assert row["agreement_percent"] == pytest.approx(200 / 3)
    assert row["kappa"] == pytest.approx((2 / 3 - 1 / 2) / (1 / 2))


@given(
    st.integers(2, 5).flatmap(
        lambda raters: st.lists(st.lists(st.integers(0, 2), min_size=raters, max_size=raters), min_size=1, max_size=40)
    )
)
def test_fleiss_kappa_is_that_of_statsmodels(ratings):
    counts = pd.DataFrame([[row.count(category) for category in range(3)] for row in ratings])
    kinds = counts.value_counts().rename("items").reset_index()
    for found in (fleiss(counts), fleiss(kinds[[0, 1, 2]], kinds["items"])):
        if (counts.sum() > 0).sum() > 1:
            assert found[0] == pytest.approx(fleiss_kappa(counts.to_numpy(float)), abs=1e-12)
        else:
            assert np.isnan(found[0]) and found[1] == 1


def test_runs_of_a_judge_without_position_bias_agree():
    steady = synthetic.judged_by_hand(*(("A", f"i{n}", *[("policy", "opponent")[n % 2]] * 2) for n in range(10)))
    row = self_agreement(judgements(steady, "paper", 5, 1)).iloc[0]
    assert (row["raters"], row["ratings"], row["kappa"], row["agreement_percent"]) == ("runs", 5, 1, 100)
    alone = steady.assign(verdict="policy")
    assert np.isnan(self_agreement(judgements(alone, "paper", 5, 1)).iloc[0]["kappa"])


def two_judges(pairs: list[tuple[str, str]], **columns) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the verdicts of two judges, with one prompt per judgement."""
    n = len(pairs)
    frame = pd.DataFrame({"item_id": [f"i{k}" for k in range(n)], "policy": "A", "opponent": "x", "language": "de",
                          "order": "policy_first", "status": "parsed", "sample": 0, **columns})  # fmt: skip
    frame = frame.assign(prompt_id=frame["item_id"])
    return tuple(frame.assign(verdict=[pair[k] for pair in pairs]) for k in (0, 1))


def test_cohens_kappa_of_two_judges():
    """In a 2 x 2 table of 20, 5, 10 and 15, the observed agreement is 0.7, that by chance 0.5, and kappa 0.4."""
    pairs = [("policy", "policy")] * 20 + [("policy", "opponent")] * 5
    pairs += [("opponent", "policy")] * 10 + [("opponent", "opponent")] * 15
    first, second = two_judges(pairs)
    row = judge_agreement(first, second, ["de"]).iloc[0]
    assert (row["judgements"], row["parsed"], row["agreement_percent"]) == (50, 50, 70)
    assert row["kappa"] == pytest.approx(0.4)
    # W - L: 25 of 50 won by the first judge, 30 by the second
    assert (row["first_difference"], row["second_difference"]) == pytest.approx((0, 20))
    # with one prompt per judgement, close to the asymptotic interval of Fleiss, Cohen and Everitt (1969)
    found = cohens_kappa(np.array([[20, 5], [10, 15]]))
    assert (row["kappa_low"], row["kappa_high"]) == pytest.approx((found.kappa_low, found.kappa_upp), abs=0.05)
    assert judge_agreement(first, first, ["de"]).iloc[0]["kappa"] == pytest.approx(1)
    alone = two_judges([("policy", "policy")] * 5)
    assert np.isnan(judge_agreement(*alone, ["de"]).iloc[0]["kappa"])


def test_agreement_of_every_group_equals_that_of_statsmodels():
    rng = np.random.default_rng(3)
    first = pd.concat([synthetic.verdicts(p, code, 15) for p in ("A", "B") for code in ("de", "is")]).assign(sample=0)
    second = first.assign(
        verdict=np.where(rng.random(len(first)) < 0.6, first["verdict"], rng.permutation(first["verdict"]))
    )
    second["status"] = np.where(second["verdict"].eq(""), "unparsed", "parsed")
    table = judge_agreement(first, second, ["is", "de"], draws=200)
    assert list(zip(table["policy"], table["language"], strict=True)) == [
        ("all", "all"), ("all", "is"), ("all", "de"), ("A", "all"), ("B", "all")]  # fmt: skip
    for row in table.itertuples():
        mine = first["policy"].isin([row.policy] if row.policy != "all" else ["A", "B"])
        mine &= first["language"].isin([row.language] if row.language != "all" else ["de", "is"])
        mine &= first["verdict"].ne("") & second["verdict"].ne("")
        counts = pd.crosstab(first["verdict"][mine].to_numpy(), second["verdict"][mine].to_numpy())
        assert row.kappa == pytest.approx(cohens_kappa(counts.to_numpy()).kappa) and row.parsed == mine.sum()
        assert row.kappa_low < row.kappa < row.kappa_high


def test_a_second_judge_may_judge_a_share_of_the_prompts_but_no_others():
    first, second = two_judges([("policy", "policy")] * 3 + [("tie", "opponent")] * 7)
    assert judge_agreement(first, second.head(5), ["de"]).iloc[0]["judgements"] == 5
    with pytest.raises(TableError, match="two judges differ in i0 / A / x / opponent_first / 0, i0 / A"):
        judge_agreement(first, second.assign(order=["opponent_first"] + ["policy_first"] * 9), ["de"])
    with pytest.raises(TableError, match="two judges differ in i3"):
        judge_agreement(first, pd.concat([second, second.iloc[3:4]]), ["de"])
