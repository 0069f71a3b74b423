"""Several training seeds: the variance between them in intervals and tests, and the table of each seed."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from polypref.evaluation import seeds
from polypref.evaluation.estimates import estimate_rates
from polypref.evaluation.improvement import paired_differences, tabulate_improvement
from polypref.evaluation.seed_rates import MEAN, tabulate_seeds, widen_rates
from polypref.evaluation.trained import Trained
from polypref.evaluation.win_rates import judgements

NAMES = {"A": ("A", "A.s42"), "A.s1": ("A", "A.s1"), "A.s2": ("A", "A.s2")}


def judged(edges: dict[str, float], prompts: int = 40) -> pd.DataFrame:
    verdicts = [synthetic.verdicts(name, code, prompts, edge) for name, edge in {"base": 0, **edges}.items()
                for code in ("de", "is")]  # fmt: skip
    return judgements(pd.concat(verdicts), "balanced", 1, 1)


def parts_of(values: np.ndarray) -> np.ndarray:
    """Return the contributions in a balanced design (prompts, seeds)."""
    return seeds.contributions(np.stack([values, np.ones_like(values)], axis=-1)[:, None])


def test_added_variance_is_that_of_the_analysis_of_variance():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(30, 1)) + rng.normal(0, 2, (1, 4)) + rng.normal(size=(30, 4))
    mean, of_prompt, of_seed = values.mean(), values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    between = 30 * ((of_seed - mean) ** 2).sum() / 3
    rest = ((values - of_prompt - of_seed + mean) ** 2).sum() / (29 * 3)
    assert seeds.added_variance(parts_of(values))[0] == pytest.approx((between - rest) / (30 * 4))
    alike = np.repeat(rng.normal(size=(30, 1)), 4, axis=1)
    assert seeds.added_variance(parts_of(alike))[0] == pytest.approx(0)
    assert (seeds.added_variance(parts_of(values[:, :1])) == 0).all()
    two = seeds.added_variance(parts_of(values[:, :2]))[0]
    assert two == pytest.approx(values[:, :2].mean(axis=0).var(ddof=1) / 2), "nothing is subtracted with two seeds"


def test_widened_intervals_and_their_p_values_agree():
    mean, error, freedom, added = np.array([3.0, 0.5]), np.array([1.0, 1.0]), np.array([39, 39]), np.array([0.4, 0.4])
    p = seeds.p_values(mean, error, freedom, added, 3)
    for number in (0, 1):
        half = stats.t.isf(p[number] / 2, 39) * error[number]
        low, _ = seeds.widen(mean[number] - half, mean[number] + half, mean[number], added[number], 3, 1 - p[number])
        assert low == pytest.approx(0, abs=1e-6)
    same = seeds.widen(np.array([-1.0]), np.array([2.0]), np.array([0.5]), np.array([5.0]), 1)
    assert [end[0] for end in same] == [-1, 2], "with one seed, the interval does not change"
    tight = seeds.widen(0.0, 1.0, 0.5, 0.0, 3)
    assert tight == pytest.approx((0, 1)), "nor does it with seeds that do not differ"


def test_improvement_over_seeds_is_the_mean_with_a_wider_interval():
    pairs = paired_differences(judged({"A": 0.0, "A.s1": 0.1, "A.s2": 0.2}), "base")
    one = tabulate_improvement(pairs, ["de", "is"], 2000)
    several = tabulate_improvement(Trained(NAMES).pooled(pairs), ["de", "is"], 2000)
    assert several["policy"].unique().tolist() == ["A"] and several["seeds"].eq(3).all()
    assert "seeds" not in one, "the table of a run with one seed keeps its columns"
    keys = ["opponent", "language"]
    means = one.groupby(keys)["improvement"].agg(["mean", "std"])
    found = several.set_index(keys)
    assert np.allclose(found["improvement"], means.loc[found.index, "mean"])
    widths = (one["high"] - one["low"]).groupby([one[key] for key in keys]).max()
    primary = found[found["family"].eq("overall")]
    assert ((primary["high"] - primary["low"]) > widths[primary.index]).all()
    assert (primary["seed_deviation"] > 0).all() and (found["p_value"] > 0).all()
    assert (found["macro_low"].dropna() < found["low"].loc[found["macro_low"].notna()] + 20).all()
    assert found["detectable"].notna().all()


def test_the_order_of_the_seeds_does_not_matter():
    pairs = Trained(NAMES).pooled(paired_differences(judged({"A": 0.0, "A.s1": 0.1, "A.s2": 0.2}), "base"))
    backwards = pairs.iloc[::-1].reset_index(drop=True)
    tables = [tabulate_improvement(frame, ["de", "is"], 500).sort_values(["opponent", "language"], ignore_index=True)
              for frame in (pairs, backwards)]  # fmt: skip
    columns = ["improvement", "standard_error", "seed_deviation", "seeds"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])


def test_table_of_seeds_has_each_seed_and_the_mean():
    trained, verdicts = Trained(NAMES), judged({"A": 0.0, "A.s1": 0.1, "A.s2": 0.2})
    pairs, pooled = paired_differences(verdicts, "base"), trained.pooled(verdicts)
    plain = estimate_rates(pooled, 500)
    rates = widen_rates(plain, pooled)
    improvement = tabulate_improvement(trained.pooled(pairs), ["de", "is"], 500)
    table = tabulate_seeds(verdicts, pairs, rates, improvement, trained, ["de", "is"], 500)
    overall = table[table["opponent"].eq("all") & table["language"].eq("all")]
    assert overall["seed"].tolist() == ["1", "2", "42", MEAN] and set(overall["policy"]) == {"A"}
    for column in ("win_percent", "difference", "improvement"):
        assert overall[column].iloc[:3].mean() == pytest.approx(overall[column].iloc[3])
    is_base = plain["policy"].eq("base")
    pd.testing.assert_frame_equal(rates[is_base], plain[is_base])
    for name in ("win_percent", "difference"):
        before, after = (frame[f"{name}_high"] - frame[f"{name}_low"] for frame in (plain, rates))
        assert (after[~is_base] >= before[~is_base] - 1e-9).all() and (after[~is_base] > before[~is_base]).any()
    assert rates.loc[~is_base, "interval"].str.endswith("3 seeds").all()


def test_names_of_one_seed_are_the_architectures():
    frame = pd.DataFrame({"policy": ["base", "A.s7"]})
    trained = Trained({"A.s7": ("A", "A")})
    assert trained.pooled(frame)["policy"].tolist() == ["base", "A"] and not trained.several
    assert "seed" not in trained.pooled(frame) and trained.by_architecture({"A.s7": 1}) == {"A": [1]}
    assert Trained({}).pooled(frame) is frame
