"""Effect of training: W - L of each variant minus that of the base, paired by prompt, with intervals and tests."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from polypref.evaluation.bootstrap import (
    DRAWS,
    LEVEL,
    bootstrap,
    cluster_sums,
    percentile_interval,
    ratio_error,
    sign_flip_test,
)
from polypref.evaluation.intervals import bounded_interval, degrees_of_freedom
from polypref.evaluation.power import ALPHA, detectable_difference
from polypref.evaluation.seeds import added_variance, contributions, p_values, seed_sums, widen
from polypref.evaluation.win_rates import ALL, blocks_of_policies, by_policy
from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError

POINTS = {"policy": 100.0, "opponent": -100.0, "tie": 0.0, "": 0.0}
"""Value of a verdict in points of W - L; an unparsed verdict counts as 0."""
FAMILIES = {"primary": "holm", "overall": "holm", "language": "fdr_bh", "language, all opponents": "fdr_bh"}
"""Families of tests that are corrected together, with the correction as named by statsmodels."""


def paired_differences(judged: pd.DataFrame, base: str) -> pd.DataFrame:
    """Compute W - L of each variant minus that of the base for each prompt.

    Parameters
    ----------
    judged : judgements as in :func:`polypref.evaluation.estimates.estimate_rates`, with item_id.
    base : name of the policy that the variants were trained from.

    Returns
    -------
    One row per item, variant and opponent: policy, opponent, language, item_id, prompt_id, policy_points, base_points
    (mean of +100, 0 and -100 over the judgements of the item) and improvement, their difference. An item is excluded
    if all judgements of the variant or of the base are errors.

    Raises
    ------
    TableError
        There are no rows of the base, or a variant and the base were judged on different items.
    """
    if base not in judged["policy"].unique():
        raise TableError(f"verdicts: no rows of the base policy {base!r}; found {', '.join(judged['policy'].unique())}")
    of_base = judged[judged["policy"].eq(base)]
    variants = (own for _, own in by_policy(judged) if own["policy"].iloc[0] != base)
    parts = [_differences(own, of_base, base) for own in variants] or [_differences(of_base[:0], of_base, base)]
    return pd.concat(parts, ignore_index=True)


def _differences(judged: pd.DataFrame, of_base: pd.DataFrame, base: str) -> pd.DataFrame:
    """Return the rows of :func:`paired_differences` for one variant."""
    keys = ["opponent", "item_id"]
    judged = pd.concat([of_base, judged], ignore_index=True)
    judged = judged.assign(_asked=judged.groupby(keys, sort=False).ngroup().to_numpy())
    asked = [judged.loc[which, "_asked"].unique() for which in (judged["policy"].eq(base), judged["policy"].ne(base))]
    unmatched = np.setxor1d(*asked)
    if len(judged) > len(of_base) and len(unmatched):
        unlike = judged.loc[judged["_asked"].isin(unmatched), keys].drop_duplicates().astype(str).to_numpy()
        policy = judged["policy"].iloc[-1]
        raise TableError(f"verdicts: {policy} and {base} differ in {name_ids(map(' / '.join, unlike))}")
    had_reply = judged[judged["status"].ne("error")]
    worth = 200 * had_reply["points"] - 100 if "points" in had_reply else had_reply["verdict"].map(POINTS).astype(float)
    points = had_reply[["policy", *keys, "language", "prompt_id", "_asked"]].assign(points=worth)
    items, _ = pd.factorize(points.groupby(["policy", "_asked"], sort=False).ngroup().to_numpy())
    mean = np.bincount(items, points["points"]) / np.bincount(items)
    first = ~pd.Series(items).duplicated().to_numpy()
    points = points[first].assign(points=mean).reset_index(drop=True)
    is_base = points["policy"].eq(base)
    base_points = np.full(judged["_asked"].max() + 1, np.nan)
    base_points[points.loc[is_base, "_asked"]] = points.loc[is_base, "points"]
    variants = points[~is_base].rename(columns={"points": "policy_points"})
    paired = variants.assign(base_points=base_points[variants["_asked"]]).drop(columns="_asked")
    paired = paired[paired["base_points"].notna()].reset_index(drop=True)
    return paired.assign(improvement=paired["policy_points"] - paired["base_points"])


def _family(opponent: str, language: str) -> str:
    if language == ALL:
        return "overall" if opponent == ALL else "primary"
    return "language, all opponents" if opponent == ALL else "language"


def adjust(table: pd.DataFrame) -> pd.DataFrame:
    """Add p_adjusted to a table with p_value and family; each family is corrected by its method in `FAMILIES`."""
    adjusted = pd.Series(np.nan, table.index)
    for family, rows in table.groupby("family"):
        known = rows["p_value"].dropna()
        if len(known):
            adjusted[known.index] = multipletests(known, method=FAMILIES[family])[1]
    return table.assign(p_adjusted=adjusted, correction=table["family"].map(FAMILIES))


_COLUMNS = [
    "policy", "opponent", "language", "prompts", "comparisons", "policy_difference", "base_difference", "improvement",
    "standard_error", "low", "high", "p_value", "family", "p_adjusted", "correction", "detectable",
    "detectable_adjusted", "improvement_macro", "macro_low", "macro_high",
]  # fmt: skip


class Means(NamedTuple):
    """Means of paired differences with intervals and tests, one value per cell.

    ``drawn`` (draws, cells) are the resampled means, ``residuals`` (clusters, cells) the contributions to the error,
    ``clusters`` the numbers of prompts, ``error`` the standard errors over prompts.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    error: np.ndarray
    clusters: np.ndarray
    drawn: np.ndarray
    residuals: np.ndarray


def estimate_means(sums: np.ndarray, added: np.ndarray, seeds: np.ndarray, draws: int, seed: int) -> Means:
    """Compute means over prompts and seeds, their intervals and p-values.

    Parameters
    ----------
    sums : (clusters, cells, 2), sums of the differences of each prompt over all seeds, and their numbers.
    added, seeds : variance that the seeds add (:func:`.added_variance`), and number of seeds, of each cell.
    draws, seed : see :func:`tabulate_improvement`.
    """
    drawn, clusters = bootstrap(sums, _means, draws, seed), (sums[..., 1] > 0).sum(axis=0)
    mean = _means(sums.sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = (sums[..., 0] - mean * sums[..., 1]) / sums[..., 1].sum(axis=0)
    low, high = _interval(drawn, mean, residuals, clusters)
    error, p_value = ratio_error(sums[..., 0], sums[..., 1]), sign_flip_test(sums[..., 0], draws, seed)
    freedom = degrees_of_freedom(residuals, clusters)
    for number in sorted(set(seeds) - {1}):
        at = seeds == number
        low[at], high[at] = widen(low[at], high[at], mean[at], added[at], number)
        # The sign-flip test accounts only for prompts, but exactly; it is also valid if prompts and seeds do not vary.
        p_value[at] = np.fmax(p_value[at], p_values(mean[at], error[at], freedom[at], added[at], number))
    return Means(mean, low, high, p_value, error, clusters, drawn, residuals)


def tabulate_improvement(
    paired: pd.DataFrame, languages: Sequence[str], draws: int = DRAWS, seed: int = 1
) -> pd.DataFrame:
    """Compute the mean paired difference per variant, opponent and language, and their aggregates (``all``).

    Parameters
    ----------
    paired : output of :func:`paired_differences`; with a column ``seed``, a policy is the mean over its seeds.
    languages : language codes in the order of the rows.
    draws, seed : number of resamples and seed, of the bootstrap over source prompts and of the sign flips.

    Returns
    -------
    policy, opponent, language, prompts (distinct source prompts, which are the clusters), comparisons,
    policy_difference and base_difference (W - L, percentage points), improvement (their difference; pooled if language
    is ``all``), standard_error (clustered by source prompt), low and high (95%, cluster bootstrap, expanded percentiles
    with :func:`.degrees_of_freedom`; if all prompts have the same difference, Wilson's interval between -200 and 200
    with one value per prompt), p_value (cluster sign-flip test), family, p_adjusted and correction (Holm over the
    primary tests, variant x opponent, and over the overall tests, one per variant; Benjamini-Hochberg over the language
    cells), detectable (:func:`detectable_difference` at 5%) and detectable_adjusted (at 5% divided by the number of
    tests in the family, Holm's first step), improvement_macro, macro_low and macro_high (unweighted mean over
    languages; nan for one language). With several seeds also seeds (their number) and seed_deviation (estimated
    standard deviation of a seed's improvement beyond the choice of prompts); the error, the intervals, the p-value and
    the power then contain the variance of the seeds (:mod:`polypref.evaluation.seeds`).
    """
    order, prompts = [code for code in languages if paired["language"].eq(code).any()], paired["prompt_id"].unique()
    paired = paired.assign(_prompt=pd.Index(prompts).get_indexer(paired["prompt_id"]))
    # a few variants at a time: no cell has several, and the draws depend only on the prompts
    parts = [_estimate(own, order, pd.Index(prompts), draws, seed) for own in blocks_of_policies(paired)]
    if not parts:
        return pd.DataFrame()
    table = adjust(pd.concat(parts, ignore_index=True))
    tests = table["family"].map(table["family"].value_counts())
    errors = list(zip(_error_for_power(table), table["_effective"], tests, strict=True))
    table["detectable"] = [detectable_difference(error, n) for error, n, _ in errors]
    table["detectable_adjusted"] = [detectable_difference(error, n, ALPHA / size) for error, n, size in errors]
    return table[[*_COLUMNS, *(name for name in ("seeds", "seed_deviation") if name in table)]]


def _estimate(paired: pd.DataFrame, languages: Sequence[str], prompts: pd.Index, draws: int, seed: int) -> pd.DataFrame:
    """Return the rows of :func:`tabulate_improvement` for some variants, without correction for several tests or power.

    The column _effective is the number of clusters for the power analysis.
    """
    cells, labels = [], []
    for policy, variant in paired.groupby("policy", sort=False):
        for opponent in [ALL, *dict.fromkeys(variant["opponent"])]:
            against = variant if opponent == ALL else variant[variant["opponent"].eq(opponent)]
            by_language = dict(list(against.groupby("language", sort=False)))
            cells += [against, *(by_language[code] for code in languages if code in by_language)]
            labels += [(policy, opponent, code) for code in [ALL, *languages] if code == ALL or code in by_language]

    groups = np.repeat(np.arange(len(cells)), [len(cell) for cell in cells])
    improvement, places = (
        np.concatenate([cell[name].to_numpy() for cell in cells]) for name in ("improvement", "_prompt")
    )
    values = np.column_stack([improvement, np.ones(len(improvement))])
    sums = cluster_sums(places, groups, values, (len(prompts), len(cells)))
    several = "seed" in paired
    parts = _seed_parts(cells, prompts) if several else []
    seeds = np.array([part.shape[1] for part in parts] if several else [1] * len(cells))
    added = np.array([added_variance(part[:, None])[0] for part in parts] if several else [0.0] * len(cells))
    found = estimate_means(sums, added, seeds, draws, seed)
    table = pd.DataFrame(labels, columns=["policy", "opponent", "language"]).assign(
        prompts=found.clusters, comparisons=[len(cell) for cell in cells],
        policy_difference=[cell["policy_points"].mean() for cell in cells],
        base_difference=[cell["base_points"].mean() for cell in cells],
        improvement=found.mean, standard_error=np.sqrt(found.error**2 + added), low=found.low, high=found.high,
        p_value=found.p_value,
        family=[_family(opponent, language) for _, opponent, language in labels],
        _effective=_effective_clusters(found.error**2, added, found.clusters, seeds),
    )  # fmt: skip
    table = _add_macro(table, found.drawn, found.residuals, parts)
    return table.assign(seeds=seeds, seed_deviation=np.sqrt(added * seeds)) if several else table


def _seed_parts(cells: Sequence[pd.DataFrame], prompts: pd.Index) -> list[np.ndarray]:
    """Compute what each prompt and seed contributes to the error of each cell, each as an array (prompts, seeds)."""
    parts, of_policy = [], {}
    for cell in cells:  # the first cell of a policy has all its seeds
        seeds = of_policy.setdefault(cell["policy"].iloc[0], pd.Index(cell["seed"].unique()))
        parts.append(contributions(seed_sums(cell, cell[["improvement"]], prompts, seeds))[:, 0])
    return parts


def _effective_clusters(prompts: np.ndarray, added: np.ndarray, clusters: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return the number of clusters whose degrees of freedom equal those of the sum of both variances (Welch)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = prompts**2 / (clusters - 1) + np.where(added > 0, added**2 / np.maximum(seeds - 1, 1), 0)
        freedom = (prompts + added) ** 2 / spread
    return np.where(added > 0, np.maximum(np.rint(np.nan_to_num(freedom)), 2) + 1, clusters)


def _error_for_power(table: pd.DataFrame) -> pd.Series:
    """Return the standard errors for the power analysis.

    If all prompts changed by the same amount, the observed error is zero. It is then derived from the width of the
    interval instead, because no design detects arbitrarily small differences.
    """
    half = (table["high"] - table["low"]) / 2
    of_interval = half / stats.t.ppf((1 + LEVEL) / 2, np.maximum(table["prompts"] - 1, 1))
    return table["standard_error"].where(table["standard_error"].gt(1e-9) | half.isna(), of_interval)


def _means(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def _interval(
    drawn: np.ndarray, mean: np.ndarray, residuals: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expanded percentile interval; if all prompts changed equally, Wilson's interval with one value per prompt."""
    percentiles = percentile_interval(drawn, clusters, LEVEL, degrees_of_freedom(residuals, clusters))
    still = (np.abs(residuals) < 1e-9).all(axis=0)
    none = np.zeros(still.shape)
    alike = bounded_interval(mean, none, clusters, np.maximum(clusters - 1, 1), (-200.0, 200.0))
    low, high = (np.where(still, *ends) for ends in zip(alike, percentiles, strict=True))
    return low, high


def _add_macro(
    table: pd.DataFrame, drawn: np.ndarray, residuals: np.ndarray, parts: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Add the unweighted mean over languages to the rows of all languages."""
    macro = pd.DataFrame(np.nan, table.index, ["improvement_macro", "macro_low", "macro_high"])
    for number in table.index[table["language"].eq(ALL)]:
        row = table.loc[number]
        same = table["policy"].eq(row["policy"]) & table["opponent"].eq(row["opponent"]) & table["language"].ne(ALL)
        draws = drawn[:, same.to_numpy()].mean(axis=1)[:, None]
        clusters = np.array([row["prompts"]])
        mean = table.loc[same, "improvement"].mean()
        low, high = _interval(draws, mean, residuals[:, same.to_numpy()].mean(axis=1)[:, None], clusters)
        if parts and parts[number].shape[1] > 1:
            of_seeds = np.mean([parts[place] for place in np.flatnonzero(same)], axis=0)
            low, high = widen(low, high, mean, added_variance(of_seeds[:, None]), of_seeds.shape[1])
        macro.loc[number] = mean, low[0], high[0]
    return table.join(macro)
