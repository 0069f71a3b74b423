"""Confidence intervals of rates that keep their coverage near 0% and 100% and with few clusters.

Bootstrap percentiles reflect only the observed outcomes: if 39 of 40 prompts were won, they hardly allow for further
losses. The interval of Wilson (1927) does. It also holds for clustered answers if the number of observations is
replaced by the effective one, mean * (1 - mean) / variance (Kott and Carr 1997, Journal of Official Statistics 13(4)).
It is among the best of the intervals compared by Franco, Little, Louis and Slud (2019, Journal of Survey Statistics and
Methodology 7(3)). Here the variance comes from the cluster bootstrap, and the quantile from Student's t distribution.
``bench/bench_coverage.py`` measures the resulting coverage.
"""

import numpy as np
from scipy import stats

from polypref.evaluation.bootstrap import LEVEL


def degrees_of_freedom(residuals: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Estimate the degrees of freedom of a variance that is itself estimated from residuals of clusters.

    Following Satterthwaite (1946), this is twice the squared variance divided by the variance of the variance. The
    latter is estimated from the fourth moment of the residuals, as Pan and Wall (2002, Statistics in Medicine 21(10))
    do for the sandwich estimator. For normally distributed residuals the result is the number of clusters; it is
    smaller if a few clusters contribute most of the variance.

    Parameters
    ----------
    residuals : (clusters, ...), zero if a cluster has no observations for a statistic.
    clusters : number of clusters with observations for each statistic, shape ``residuals.shape[1:]``.

    Returns
    -------
    Values from 1 to ``clusters - 1``; ``clusters - 1`` if all residuals are zero.
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
    """Compute Wilson's interval of a bounded mean, with the effective number of observations.

    A variance of zero means that all clusters are alike. Each cluster then counts as one observation, and the share of
    other clusters that differ is bounded by the upper end of Wilson's interval for 0 of `clusters`.

    Parameters
    ----------
    estimate, variance : the mean and its variance, in the unit of `bounds` and its square.
    clusters : number of clusters that each mean is based on.
    freedom : degrees of freedom of Student's t distribution.
    bounds : lowest and highest possible mean.
    level : coverage, 0 to 1.

    Returns
    -------
    Lower and upper ends within `bounds`; nan if there are fewer than two clusters or the variance is nan.
    """
    low, high = bounds
    width = high - low
    mean, variance = (estimate - low) / width, variance / width**2
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = stats.t.ppf((1 + level) / 2, np.maximum(freedom, 1)) ** 2
        constant = variance < 1e-18
        per = squared * np.where(constant, 1 / clusters, variance / (mean * (1 - mean)))  # quantile^2 / effective n
        middle = (mean + per / 2) / (1 + per)
        half = np.sqrt(np.maximum(per * mean * (1 - mean), 0) + per**2 / 4) / (1 + per)
        ends = [
            np.where(constant, mean - mean * per / (1 + per), middle - half),
            np.where(constant, mean + (1 - mean) * per / (1 + per), middle + half),
        ]
    unknown = (clusters < 2) | np.isnan(variance)
    return tuple(np.where(unknown, np.nan, low + width * np.clip(end, 0, 1)) for end in ends)
