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
BLOCK = 1_000_000
"""Rows that are computed at a time."""
STEEP = 30.0
"""A logit of this size is a share of 1 but for rounding: no finite parameters exist."""


class Fit(NamedTuple):
    """Intercept with its 95% interval, and slope, on the scale of the logit."""

    intercept: float
    low: float
    high: float
    slope: float


def fractional_logit(shares: np.ndarray, values: np.ndarray, clusters: np.ndarray, whole: float = 1) -> Fit | None:
    """Fit P = expit(intercept + slope * value).

    Parameters
    ----------
    shares : (rows,), from 0 to `whole`.
    values : (rows,).
    clusters : (rows,), integer codes from 0, all of which occur.

    Returns
    -------
    The fit; None if the maximum likelihood is not at finite parameters, because the values determine the shares.
    """
    groups, rows, largest = clusters.max() + 1, len(shares), np.abs(values).max()
    blocks = [slice(start, start + BLOCK) for start in range(0, rows, BLOCK)]
    parameters = np.zeros(2)
    for _ in range(ITERATIONS):
        information, gradient, scores = np.zeros((2, 2)), np.zeros(2), np.zeros((2, groups))
        for block in blocks:
            value = values[block]
            mean = special.expit(parameters[0] + parameters[1] * value)
            rest, weight = shares[block] / whole - mean, mean * (1 - mean)
            product = weight @ value
            information += [[weight.sum(), product], [product, (weight * value) @ value]]
            gradient += [rest.sum(), rest @ value]
            scores += [np.bincount(clusters[block], each, groups) for each in (rest, rest * value)]
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, gradient)
        parameters = parameters + step
        if np.abs(parameters[0]) + np.abs(parameters[1]) * largest > STEEP:
            return None
        if np.abs(step).max() < 1e-10:
            break
    else:
        return None
    inverse = np.linalg.inv(information)
    covariance = groups / (groups - 1) * (rows - 1) / (rows - 2) * inverse @ (scores @ scores.T) @ inverse
    half = stats.t.ppf(0.975, groups - 1) * np.sqrt(covariance[0, 0])
    return Fit(parameters[0], parameters[0] - half, parameters[0] + half, parameters[1])
