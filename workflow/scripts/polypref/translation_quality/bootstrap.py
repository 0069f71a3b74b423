"""Intervals of BLEU and chrF++ and paired comparisons of translators, by bootstrap over documents.

The segments of a document are correlated, so whole documents are resampled with replacement. A resample is scored from
the sums of sacreBLEU's statistics, with sacreBLEU's formulas applied to arrays (:func:`bleu_scores`,
:func:`chrf_scores`), so that no text has to be processed again.
"""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from polypref.evaluation.bootstrap import DRAWS, bootstrap, cluster_sums, percentile_interval

METRICS = ("bleu_corpus", "bleu_sentence_mean", "chrf_corpus", "chrf_sentence_mean")


def bleu_scores(statistics: np.ndarray) -> np.ndarray:
    """Compute BLEU, 0 to 100, from sacreBLEU's statistics with its defaults (n-grams up to 4, exponential smoothing).

    Parameters
    ----------
    statistics : (..., 10): length of the hypothesis and of the reference, the numbers of matching n-grams of the orders
        1 to 4, and the numbers of all n-grams of these orders.
    """
    length, reference = statistics[..., 0], statistics[..., 1]
    correct, total = statistics[..., 2:6], statistics[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore"):
        penalty = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        penalty = np.where(length > 0, penalty, 0.0)
        halvings = np.cumsum((correct == 0) & (total > 0), axis=-1)
        precision = np.where(correct == 0, 1 / (2.0**halvings * total), correct / total)
        scores = 100 * penalty * np.exp(np.log(precision).mean(axis=-1))
    return np.where((correct.sum(axis=-1) == 0) | (total == 0).any(axis=-1), 0.0, scores)


def chrf_scores(statistics: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """Compute chrF, 0 to 100, from sacreBLEU's statistics, averaged over the orders that occur on both sides.

    Parameters
    ----------
    statistics : (..., 3 * orders): for each order, n-grams of the hypothesis, n-grams of the reference, and matches.
    """
    counts = statistics.reshape(*statistics.shape[:-1], -1, 3)
    hypothesis, reference, matches = counts[..., 0], counts[..., 1], counts[..., 2]
    both = (hypothesis > 0) & (reference > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = both.sum(axis=-1)
        precision = np.where(both, matches / hypothesis, 0).sum(axis=-1) / orders
        recall = np.where(both, matches / reference, 0).sum(axis=-1) / orders
        scores = 100 * (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    return np.nan_to_num(scores, nan=0.0)


def _mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def bootstrap_metrics(
    statistics: Mapping[str, Mapping[str, np.ndarray]], documents: pd.Series, draws: int = DRAWS, seed: int = 1
) -> dict[str, np.ndarray]:
    """Score all translators of one language on the same resampled documents.

    Parameters
    ----------
    statistics : for each translator, the arrays bleu (segments, 10), chrf (segments, 24), bleu_sentences and
        chrf_sentences (segments,), with the segments in the same order for all translators.
    documents : document of each segment.
    draws, seed : number of resamples and seed.

    Returns
    -------
    For each metric (`METRICS`), an array (draws, translators).
    """
    codes, names = pd.factorize(documents)
    zeros, shape = np.zeros(len(codes), dtype=int), (len(names), 1)
    ones = np.ones(len(codes))

    def drawn(formula: Callable, key: str, mean: bool) -> np.ndarray:
        arrays = [np.column_stack([s[key], ones]) if mean else s[key] for s in statistics.values()]
        sums = np.concatenate([cluster_sums(codes, zeros, array, shape) for array in arrays], axis=1)
        return bootstrap(sums, formula, draws, seed)

    return {
        "bleu_corpus": drawn(bleu_scores, "bleu", False), "bleu_sentence_mean": drawn(_mean, "bleu_sentences", True),
        "chrf_corpus": drawn(chrf_scores, "chrf", False), "chrf_sentence_mean": drawn(_mean, "chrf_sentences", True),
    }  # fmt: skip


def intervals(drawn: Mapping[str, np.ndarray], documents: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Compute the 95% interval (low, high) of each metric, with one value per translator."""
    return {name: percentile_interval(values, documents) for name, values in drawn.items()}


def compare_translators(
    scores: Mapping[str, Mapping[str, float]], drawn: Mapping[str, np.ndarray], documents: int
) -> list[dict]:
    """Compare every two translators of one language on the same documents.

    Parameters
    ----------
    scores : for each translator, the score by metric.
    drawn : output of :func:`bootstrap_metrics`, translators in the order of `scores`.
    documents : number of documents.

    Returns
    -------
    One dict per metric and pair: metric, translator, other, score, other_score, difference, low, high (95%), p_value
    and documents. The p-value is the share of resamples whose difference, centred at zero, is at least as extreme as
    the observed one (Riezler and Maxwell 2005; two-sided, computed as (1 + hits)/(1 + draws)).
    """
    rows = []
    for metric, values in drawn.items():
        pairs = list(combinations(range(values.shape[1]), 2))
        if not pairs:
            continue
        names = list(scores)
        differences = np.stack([values[:, i] - values[:, k] for i, k in pairs], axis=1)
        low, high = percentile_interval(differences, documents)
        for number, (i, k) in enumerate(pairs):
            ours, theirs = scores[names[i]][metric], scores[names[k]][metric]
            centred = differences[:, number] - differences[:, number].mean()
            hits = int((np.abs(centred) >= abs(ours - theirs) - 1e-9).sum())
            rows.append({
                "metric": metric, "translator": names[i], "other": names[k], "score": ours, "other_score": theirs,
                "difference": ours - theirs, "low": low[number], "high": high[number],
                "p_value": (1 + hits) / (1 + len(values)), "documents": documents,
            })  # fmt: skip
    return rows


def adjust_comparisons(table: pd.DataFrame) -> pd.DataFrame:
    """Add p_adjusted, corrected by Benjamini-Hochberg over all pairs and languages of a metric."""
    adjusted = pd.Series(np.nan, table.index, dtype=float)
    for _, rows in table.groupby("metric") if len(table) else []:
        adjusted[rows.index] = multipletests(rows["p_value"], method="fdr_bh")[1]
    return table.assign(p_adjusted=adjusted)
