"""Paired differences with tests, corrections and power, compared with manual results, statsmodels and scipy."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats
from statsmodels.stats.multitest import multipletests

from polypref.evaluation.improvement import adjust, paired_differences, tabulate_improvement
from polypref.evaluation.power import detectable_difference
from polypref.evaluation.win_rates import judgements
from polypref.files.tables import TableError

VARIANT = synthetic.judged_by_hand(
    ("A", "i1", "policy", "opponent"), ("A", "i2", "policy", "policy"), ("A", "i3", "tie", ""),
    ("A", "i4", "opponent", "error"),
)  # fmt: skip


def pair(*frames: pd.DataFrame, base: str = "base") -> pd.DataFrame:
    return paired_differences(judgements(pd.concat(frames), "balanced", 1, 1), base)


def test_paired_difference_by_hand():
    base = synthetic.judged_by_hand(
        ("base", "i1", "policy", "opponent"), ("base", "i2", "opponent", "opponent"), ("base", "i3", "tie", ""),
        ("base", "i4", "error", "error"),
    )  # fmt: skip
    paired = pair(base, VARIANT)
    assert paired["item_id"].tolist() == ["i1", "i2", "i3"]  # i4 has no reply for the base
    assert paired["improvement"].tolist() == [0.0, 200.0, 0.0]
    table = tabulate_improvement(paired, ["de"])
    assert table["language"].tolist() == ["all", "de", "all", "de"]
    assert table["family"].tolist() == ["overall", "language, all opponents", "primary", "language"]
    assert np.allclose(table["improvement"], 200 / 3)
    assert np.allclose(table["standard_error"], np.std([0, 200, 0], ddof=1) / np.sqrt(3))
    assert (table["p_value"] == 1).all()  # only one prompt differs, and both of its signs are equally likely
    assert np.allclose(table["improvement_macro"].dropna(), 200 / 3)


def test_variant_and_base_need_the_same_items():
    base = synthetic.judged_by_hand(*(("base", f"i{n}", "tie", "tie") for n in (1, 2, 3)))
    with pytest.raises(TableError, match="A and base differ in x / i4"):
        pair(base, VARIANT)
    with pytest.raises(TableError, match="no rows of the base policy 'base'; found A"):
        pair(VARIANT)


def test_each_family_has_its_own_correction():
    verdicts = [synthetic.verdicts(p, code, 40, edge) for p, edge in (("base", 0), ("A", 0.1), ("B", 0), ("C", -0.05))
                for code in ("de", "is", "ar")]  # fmt: skip
    table = tabulate_improvement(pair(*verdicts), ["ar", "de", "is"], 2000)
    sizes = table["family"].value_counts()
    assert sizes.to_dict() == {"language": 27, "primary": 9, "language, all opponents": 9, "overall": 3}
    for family, method in (("primary", "holm"), ("language", "fdr_bh")):
        rows = table[table["family"].eq(family)]
        assert np.allclose(rows["p_adjusted"], multipletests(rows["p_value"], method=method)[1])
        assert set(rows["correction"]) == {method}
    # Holm by hand: the sorted p-values times 9, 8, ..., made non-decreasing and at most 1
    primary = table.loc[table["family"].eq("primary"), ["p_value", "p_adjusted"]].sort_values("p_value")
    by_hand = np.minimum(np.maximum.accumulate(primary["p_value"] * np.arange(9, 0, -1)), 1)
    assert np.allclose(primary["p_adjusted"], by_hand)
    assert (table["detectable_adjusted"] > table["detectable"]).all()


def test_families_are_corrected_separately():
    table = pd.DataFrame({"p_value": [0.01, 0.04, 0.03], "family": ["primary", "primary", "language"]})
    assert adjust(table)["p_adjusted"].tolist() == pytest.approx([0.02, 0.04, 0.03])


def test_sign_flip_agrees_with_the_t_test_on_many_prompts():
    verdicts = [synthetic.verdicts(policy, "de", 300, edge) for policy, edge in (("base", 0.0), ("A", 0.04))]
    paired = pair(*verdicts)
    one = paired[paired["opponent"].eq("gemma-1.1-7b")]
    table = tabulate_improvement(paired, ["de"]).set_index(["opponent", "language"])
    assert table.loc[("gemma-1.1-7b", "de"), "p_value"] == pytest.approx(
        stats.ttest_1samp(one["improvement"], 0).pvalue, abs=0.02
    )


def test_detectable_difference_is_found_four_times_in_five():
    """Compare with a simulation and with the normal approximation, (1.96 + 0.84) standard errors."""
    assert detectable_difference(1.0, 100_000) == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), abs=1e-3)
    rng = np.random.default_rng(3)
    n, difference = 25, detectable_difference(10 / np.sqrt(25), 25)
    found = stats.ttest_1samp(rng.normal(difference, 10, (20_000, n)), 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.01)
    assert np.isnan(detectable_difference(1.0, 2)) and np.isnan(detectable_difference(np.nan, 50))


def test_the_interval_is_not_empty_if_no_prompt_changed():
    """If no prompt changed, the interval is that of one bounded value per prompt."""
    paired = pd.DataFrame({"prompt_id": np.repeat(np.arange(40), 2), "policy": "A", "opponent": "x",
                           "language": ["de", "is"] * 40, "policy_points": 100.0, "base_points": 100.0,
                           "improvement": 0.0})  # fmt: skip
    table = tabulate_improvement(paired, ["de", "is"], 99)
    limit = 200 / (1 + 40 / stats.t.ppf(0.975, 39) ** 2)
    assert np.allclose(table["low"], -limit) and np.allclose(table["high"], limit)
    assert np.allclose(table["macro_high"].dropna(), limit) and (table["p_value"] == 1).all()
    assert (table["detectable"] > limit).all() and (table["detectable_adjusted"] >= table["detectable"]).all()


@pytest.mark.e2e  # seconds of computing
def test_improvement_interval_covers_the_truth():
    """If the effect of training differs between prompts, 93% to 97% of the intervals contain the true mean."""
    rng, frames = np.random.default_rng(9), []
    for study in range(1000):
        frame = pd.DataFrame({"prompt_id": np.repeat(np.arange(40), 2), "policy": f"study {study}", "opponent": "x",
                              "language": "de", "policy_points": 0.0, "base_points": 0.0})  # fmt: skip
        helps = rng.normal(10, 40, 40)[frame["prompt_id"]] + rng.normal(0, 60, 80)
        frames.append(frame.assign(improvement=helps))
    table = tabulate_improvement(pd.concat(frames, ignore_index=True), ["de"], 499)
    table = table[table["family"].eq("overall")]
    covered = (table["low"].le(10) & table["high"].ge(10)).mean()
    assert len(table) == 1000 and 0.93 <= covered <= 0.97, covered
