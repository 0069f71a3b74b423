"""Resampling of clusters, compared with scipy, statsmodels, exact enumeration and published values."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from polypref.evaluation.bootstrap import (
    bootstrap,
    cluster_sums,
    cluster_weights,
    percentile_interval,
    ratio_error,
    sign_flip_test,
)

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Darwin's maize: crossed minus self-fertilised, eighths of an inch (Fisher 1935, section 17)."""


def _sum(block: np.ndarray) -> np.ndarray:
    return block


def test_cluster_sums_by_hand():
    sums = cluster_sums(
        np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([[1, 2], [3, 4], [5, 6], [7, 8]]), (2, 2)
    )
    assert sums.tolist() == [[[1, 2], [3, 4]], [[0, 0], [12, 14]]]


def test_weights_correspond_to_sampling_with_replacement():
    blocks = np.concatenate(list(cluster_weights(50, 4000, 3)))
    assert blocks.shape == (4000, 50)
    assert (blocks.sum(axis=1) == 50).all()
    assert np.allclose(blocks.mean(axis=0), 1, atol=0.08)
    assert np.allclose(blocks.var(axis=0), 1 - 1 / 50, atol=0.15)
    assert np.array_equal(blocks, np.concatenate(list(cluster_weights(50, 4000, 3))))


def test_bootstrap_agrees_with_scipy():
    rng = np.random.default_rng(1)
    values = rng.normal(3, 2, 60)
    sums = np.column_stack([values, np.ones(60)])
    drawn = bootstrap(sums, lambda block: block[:, 0] / block[:, 1], 20_000, 2)
    found = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=3)
    # without the widening for few clusters, the ends equal scipy's
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx(found.confidence_interval, abs=0.03)
    low, high = percentile_interval(drawn[:, None], 60)
    tail = stats.norm.cdf(np.sqrt(60 / 59) * stats.t.ppf(0.025, 59))
    assert (low[0], high[0]) == pytest.approx(tuple(np.quantile(drawn, [tail, 1 - tail])), abs=1e-9)


def test_many_equal_clusters_are_resampled_by_kind():
    values = np.repeat([0.0, 1.0], [3000, 2000])
    drawn = bootstrap(np.column_stack([values, np.ones(5000)]), _sum, 4000, 1)
    assert (drawn[:, 1] == 5000).all()
    assert drawn[:, 0].mean() == pytest.approx(2000, abs=3)
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(5000 * 0.4 * 0.6), rel=0.04)


@pytest.mark.parametrize("scale", [1.0, 1 / 3, 1e7], ids=["whole counts", "fractions", "large sums"])
def test_resampled_sums_are_exact(scale):
    """Compare with sums of the same resamples in double precision, cluster by cluster."""
    rng = np.random.default_rng(5)
    sums = rng.integers(0, 90, (1200, 7, 2)) * scale
    sums[:, 3] = 0
    drawn = bootstrap(sums, _sum, 300, 8)
    weights = np.concatenate(list(cluster_weights(1200, 300, 8)))
    expected = np.array([[[sum(w * v for w, v in zip(row, sums[:, i, k], strict=True)) for k in range(2)]
                          for i in (0, 3)] for row in weights[:5]])  # fmt: skip
    assert drawn[:5, [0, 3]] == pytest.approx(expected, rel=1e-13, abs=0)
    assert (drawn[:5, [0, 3]] == expected).all() or scale != 1


def test_interval_ends_equal_those_of_sorted_resamples_for_any_number_of_clusters():
    rng = np.random.default_rng(9)
    draws, clusters = rng.normal(0, 1, (999, 60)), np.arange(2, 62)
    low, high = percentile_interval(draws, clusters)  # sixty different tails: the resamples are sorted
    for column in (0, 7, 59):
        one = percentile_interval(
            draws[:, column], clusters[column]
        )  # one tail: only two order statistics are needed at each end
        assert (low[column], high[column]) == one
        tail = stats.norm.cdf(np.sqrt((column + 2) / (column + 1)) * stats.t.ppf(0.025, column + 1))
        assert one == pytest.approx(tuple(np.quantile(draws[:, column], [tail, 1 - tail])), abs=1e-12)
    draws[5, 1] = np.nan
    assert np.isnan(percentile_interval(draws, clusters)[0][1]) and not np.isnan(low[0])


def test_too_few_clusters_have_no_interval():
    low, high = percentile_interval(np.zeros((10, 2)), np.array([1, 5]))
    assert np.isnan(low[0]) and np.isnan(high[0]) and low[1] == high[1] == 0
    assert np.isnan(ratio_error(np.ones((1, 1)), np.ones((1, 1)))[0])


def test_ratio_error_equals_the_cluster_robust_error_of_a_mean():
    rng = np.random.default_rng(4)
    clusters = rng.integers(0, 30, 200)
    values = rng.normal(0, 1, 200) + rng.normal(0, 1, 30)[clusters]
    sums = cluster_sums(clusters, np.zeros(200, int), np.column_stack([values, np.ones(200)]), (30, 1))
    fit = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False})
    assert ratio_error(sums[..., 0], sums[..., 1])[0] == pytest.approx(fit.bse[0] * np.sqrt(30 / 29))
    single = np.column_stack([values, np.ones(200)])[:, None]
    assert ratio_error(single[..., 0], single[..., 1])[0] == pytest.approx(stats.sem(values))


def test_sign_flips_of_darwins_maize():
    """Fisher (1935), section 21: 1,726 of 32,768 sums are at least as far from zero as the observed one."""
    p = sign_flip_test(np.array(DARWIN, float)[:, None])
    assert p[0] == 1726 / 32768


def test_random_sign_flips_agree_with_scipy():
    rng = np.random.default_rng(2)
    sums = rng.normal(0.25, 1, (60, 1))
    found = stats.permutation_test(
        (sums[:, 0],), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)
    )
    assert sign_flip_test(sums, 20_000, 1)[0] == pytest.approx(found.pvalue, abs=0.01)


def test_sign_flips_have_the_nominal_error_rate():
    rng = np.random.default_rng(6)
    p = sign_flip_test(rng.normal(0, 1, (40, 2000)), 2000, 1)
    assert 0.04 <= (p <= 0.05).mean() <= 0.06
    assert sign_flip_test(np.zeros((30, 1)))[0] == 1
