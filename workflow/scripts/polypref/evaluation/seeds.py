"""Variance between training seeds, and intervals that cover both the choice of prompts and of seeds.

Prompts and seeds are crossed: every seed's policy answers the same prompts. The mean over S seeds has the variance
between prompts, which the bootstrap over prompts of the mean already contains, and the variance that seeds add. With
mean squares as in a two-way analysis of variance, the latter is V_seed - V_interaction, where V_seed is the squared
standard error of the mean of the seeds' means, and V_interaction the part of it that is due to the interaction of
prompts and seeds, which the variance between prompts contains as well.

The two are combined by the method of variance estimates recovery (Howe 1974; Zou and Donner 2008, Statistics in
Medicine 27(10)): each end of the interval has the distance sqrt(a^2 + b^2) from the mean, where a is the distance of
the end of the interval over prompts and b that of the added variance, with Student's quantile for S - 1 degrees of
freedom. ``bench/bench_seeds.py`` measures the coverage.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from polypref.evaluation.bootstrap import LEVEL, cluster_sums

FEW = 2
"""With this number of seeds, the interaction is not subtracted: the difference would be zero too often, and the
interval would then ignore the seeds."""


def contributions(sums: np.ndarray) -> np.ndarray:
    """Compute what each prompt and seed contributes to the error of a ratio of sums.

    Parameters
    ----------
    sums : (prompts, statistics, seeds, 2), numerator and denominator, for example from :func:`seed_sums`.

    Returns
    -------
    Array (prompts, statistics, seeds); the sum over prompts and seeds is zero.
    """
    total = sums.sum(axis=(0, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total[:, 0] / total[:, 1]
        return np.nan_to_num((sums[..., 0] - mean[:, None] * sums[..., 1]) / total[:, 1, None])


def added_variance(parts: np.ndarray) -> np.ndarray:
    """Estimate the variance that the choice of seeds adds to a mean over prompts and seeds.

    Parameters
    ----------
    parts : (prompts, statistics, seeds), from :func:`contributions`.

    Returns
    -------
    Array (statistics,), at least 0; 0 for a single seed.
    """
    seeds = parts.shape[2]
    if seeds == 1:
        return np.zeros(parts.shape[1])
    prompts = np.maximum((parts != 0).any(axis=2).sum(axis=0), 2)
    by_seed, by_prompt = parts.sum(axis=0), parts.sum(axis=2)
    between = seeds / (seeds - 1) * (by_seed**2).sum(axis=1)
    rest = parts - by_prompt[:, :, None] / seeds - by_seed / prompts[:, None]
    rest = np.where((parts != 0).any(axis=2)[:, :, None], rest, 0)
    interaction = (rest**2).sum(axis=(0, 2)) * prompts * seeds / ((prompts - 1) * (seeds - 1))
    return between if seeds <= FEW else np.maximum(between - interaction, 0)


def widen(
    low: np.ndarray, high: np.ndarray, mean: np.ndarray, added: np.ndarray, seeds: int, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Widen intervals over prompts by the variance that seeds add; a single seed leaves them unchanged."""
    if seeds == 1:
        return low, high
    other = stats.t.ppf((1 + level) / 2, seeds - 1) ** 2 * added
    return mean - np.sqrt((mean - low) ** 2 + other), mean + np.sqrt((high - mean) ** 2 + other)


def p_values(mean: np.ndarray, error: np.ndarray, freedom: np.ndarray, added: np.ndarray, seeds: int) -> np.ndarray:
    """Compute two-sided p-values of "the mean is zero": the level at which the interval of :func:`widen` ends at zero.

    Parameters
    ----------
    error, freedom : standard error over prompts, and its degrees of freedom.
    added : from :func:`added_variance`, with ``seeds - 1`` degrees of freedom.
    """
    low, high = np.zeros(len(mean)), np.ones(len(mean))
    for _ in range(60):  # the half width decreases with the p-value
        middle = (low + high) / 2
        half = stats.t.isf(middle / 2, freedom) ** 2 * error**2 + stats.t.isf(middle / 2, seeds - 1) ** 2 * added
        wide = half > mean**2
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.where(np.isnan(error), np.nan, high)


def seed_sums(frame: pd.DataFrame, values: pd.DataFrame, prompts: pd.Index, seeds: pd.Index) -> np.ndarray:
    """Sum values by prompt and seed.

    Parameters
    ----------
    frame : columns prompt_id and seed.
    values : one column per statistic, with the rows of `frame`.

    Returns
    -------
    Array (prompts, statistics, seeds, 2): sums and counts.
    """
    columns = np.column_stack([values, np.ones(len(frame))])
    shape = len(prompts), len(seeds)
    sums = cluster_sums(
        prompts.get_indexer(frame["prompt_id"]), seeds.get_indexer(frame["seed"]), columns, shape
    )  # (prompts, seeds, statistics + 1)
    counts = np.repeat(sums[..., -1:], values.shape[1], axis=2)
    return np.moveaxis(np.stack([sums[..., :-1], counts], axis=-1), 1, 2)
