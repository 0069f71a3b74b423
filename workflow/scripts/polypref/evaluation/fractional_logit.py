"""Logistic regression of a share on one variable, with standard errors that account for clusters.

The model is the fractional logit of Papke and Wooldridge (1996), fitted by Newton's method. It is that of statsmodels'
``GLM(Binomial())`` with ``cov_type="cluster"`` and ``use_t``, with which the tests compare it, but statsmodels keeps
400 bytes per row, several GB for the verdicts of a large evaluation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special, stats

ITERATIONS = 50
STEEP = 30.0
"""A logit of this size is a share of 1 but for rounding: no finite parameters exist."""


class Fit(NamedTuple):
    """Intercept with its 95% interval, and slope, on the scale of the logit."""

    intercept: float
    low: float
    high: float
    slope: float


def fractional_logit(shares: np.ndarray, values: np.ndarray, clusters: np.ndarray) -> Fit | None:
    """Fit P = expit(intercept + slope * value).

    Parameters
    ----------
    shares : (rows,), in [0, 1].
    values : (rows,).
    clusters : (rows,), integer codes from 0, all of which occur.

    Returns
    -------
    The fit; None if the maximum likelihood is not at finite parameters, because the values determine the shares.
    """
    parameters = np.zeros(2)
    for _ in range(ITERATIONS):
        mean = special.expit(parameters[0] + parameters[1] * values)
        rest, weight = shares - mean, mean * (1 - mean)
        moments = [float(weight.sum()), float(weight @ values), float((weight * values) @ values)]
        information = np.array([moments[:2], moments[1:]])
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, [rest.sum(), rest @ values])
        parameters = parameters + step
        if np.abs(parameters[0]) + np.abs(parameters[1]) * np.abs(values).max() > STEEP:
            return None
        if np.abs(step).max() < 1e-10:
            break
    else:
        return None
    scores = np.stack([np.bincount(clusters, rest), np.bincount(clusters, rest * values)])
    groups, rows = scores.shape[1], len(shares)
    inverse = np.linalg.inv(information)
    covariance = groups / (groups - 1) * (rows - 1) / (rows - 2) * inverse @ (scores @ scores.T) @ inverse
    half = stats.t.ppf(0.975, groups - 1) * np.sqrt(covariance[0, 0])
    return Fit(parameters[0], parameters[0] - half, parameters[0] + half, parameters[1])
