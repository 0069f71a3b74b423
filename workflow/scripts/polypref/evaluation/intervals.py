"""Intervals of rates that stay honest near 0% and 100% and with few clusters.

Percentiles of a bootstrap see only what was seen: where 39 of 40 prompts were won they hardly know that one can lose
more. The interval of Wilson (1927) does, and holds for clustered answers when the number of observations is replaced by
the effective one, mean * (1 - mean) / variance (Kott and Carr 1997, Journal of Official Statistics 13(4); of the
intervals compared by Franco, Little, Louis and Slud 2019, Journal of Survey Statistics and Methodology 7(3), among the
best). The variance is that of the cluster bootstrap, the quantile Student's. ``bench/bench_coverage.py`` measures what
comes of it.
"""

import numpy as np
from scipy import stats

from polypref.evaluation.bootstrap import LEVEL


def degrees_of_freedom(residuals: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Degrees of freedom of a variance that is estimated from residuals of clusters.

    Satterthwaite (1946): twice the squared variance over the variance of the variance, which is estimated from the
    residuals' fourth moment, as Pan and Wall (2002, Statistics in Medicine 21(10)) do for the sandwich estimator. With
    residuals from a normal distribution this is the number of clusters; where few clusters make the variance, less.

    Parameters
    ----------
    residuals : (clusters, ...), zero where a statistic has nothing of a cluster.
    clusters : how many clusters each statistic has, shape ``residuals.shape[1:]``.

    Returns
    -------
    From 1 to ``clusters - 1``; ``clusters - 1`` where there is no residual but zero.
    """
    squares = (residuals**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = clusters * (residuals**4).sum(axis=0) / squares**2
        found = 2 * clusters / np.maximum(kurtosis - 1, 1e-9)
    most = np.maximum(clusters - 1, 1)
    return np.clip(np.where(squares > 0, found, most), 1, most)


def bounded_interval(
    estimate: np.ndarray,
    variance: np.ndarray,
    clusters: np.ndarray,
    freedom: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    level: float = LEVEL,
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a mean between two bounds, with the effective number of observations.

    Where no variance was seen, every cluster is one observation (all alike, so that the others may differ by no more
    than Wilson's upper end for none of `clusters`).

    Parameters
    ----------
    estimate, variance : of the mean, in its units and their square.
    clusters : behind each mean.
    freedom : degrees of freedom of Student's quantile.
    bounds : lowest and highest possible mean.
    level : coverage, 0 to 1.

    Returns
    -------
    Lower and upper ends within `bounds`; nan where there are fewer than two clusters or the variance is nan.
    """
    low, high = bounds
    width = high - low
    mean, variance = (estimate - low) / width, variance / width**2
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = stats.t.ppf((1 + level) / 2, np.maximum(freedom, 1)) ** 2
        still = variance < 1e-18
        per = squared * np.where(still, 1 / clusters, variance / (mean * (1 - mean)))  # squared over effective number
        middle = (mean + per / 2) / (1 + per)
        half = np.sqrt(np.maximum(per * mean * (1 - mean), 0) + per**2 / 4) / (1 + per)
        ends = [
            np.where(still, mean - mean * per / (1 + per), middle - half),
            np.where(still, mean + (1 - mean) * per / (1 + per), middle + half),
        ]
    unknown = (clusters < 2) | np.isnan(variance)
    return tuple(np.where(unknown, np.nan, low + width * np.clip(end, 0, 1)) for end in ends)
