"""Win rates with intervals: per language, over languages (pooled and macro), per opponent and over all opponents.

A point estimate is the mean over runs of the share in each run. The intervals (:mod:`.intervals`) use the variance from
resampling source prompts together with all their languages, opponents, policies and runs (:mod:`.bootstrap`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from polypref.evaluation.bootstrap import DRAWS, LEVEL, bootstrap_variance, cluster_sums, ratio_error
from polypref.evaluation.intervals import bounded_interval, degrees_of_freedom
from polypref.evaluation.win_rates import ALL, blocks_of_policies
from polypref.files.result_tables import TableError

POOLED = "pooled"
MACRO = "macro"
OUTCOMES = ("win", "loss", "tie", "unparsed")
CODES = {"policy": 0, "opponent": 1, "tie": 2, "": 3}
WORTH = {"policy": 1.0, "opponent": 0.0, "tie": 0.5, "": 0.0}
"""A verdict's points in (W + T/2)/N."""
LEAST_CORRELATION = 0.35
"""Smallest assumed correlation of the judgements of a prompt, chosen by simulation (0.1 to 0.7 were tried in designs of
``bench/bench_coverage.py``). With a smaller value the intervals miss the true rate too often if all losses lie in a
few prompts; with a larger one they are too wide if each prompt has two judgements."""
BOUNDED = ("win_percent", "loss_percent", "difference", "score")
BOUNDS = np.array([0, 0, -100, 0]), np.array([100, 100, 100, 100])
_COLUMNS = [
    "policy", "opponent", "language", "average", "prompts", "runs", "judgements", "errors",
    *(f"{name}_percent" for name in OUTCOMES), "difference", "score",
    *(f"{name}_{end}" for name in BOUNDED for end in ("low", "high")),
    "difference_error", "score_error", "difference_if_lost", "difference_if_won", "score_if_lost", "score_if_won",
    "interval",
]  # fmt: skip
_WIN, _LOSS, _POINTS, _SQUARES, _N = 0, 1, 4, 5, 6


@dataclass(frozen=True)
class _Groups:
    """Groups of cells (combinations of policy, opponent and language) for which rates are estimated.

    ``labels``: policy, opponent, language, average and _level (0 to 5, the order of the rows), one row per group.
    ``members``: (groups, cells), 1 if the cell belongs to the group. ``means``: for each macro group, the groups per
    language whose mean it is; every other group is a share of the judgements of its cells.
    """

    labels: pd.DataFrame
    members: np.ndarray
    means: dict[int, np.ndarray]


def _group(cells: pd.DataFrame) -> _Groups:
    """Group cells per language and over languages, per opponent and over opponents, in order of first occurrence."""
    labels, members, means, count, level = [], [], {}, 0, 0
    for pair in (["policy", "opponent"], ["policy"]):
        for by, average in (([*pair, "language"], ""), (pair, POOLED), (pair, MACRO)):
            keys = cells[by].drop_duplicates(ignore_index=True)
            codes = cells[by].merge(keys.assign(_group=np.arange(len(keys))), on=by, how="left")["_group"]
            if average == "":
                languages = keys.assign(_number=np.arange(count, count + len(keys)))
            elif average == MACRO:
                numbers = languages.merge(keys.assign(_macro=np.arange(count, count + len(keys))), on=by)
                means |= {macro: rows.to_numpy() for macro, rows in numbers.groupby("_macro")["_number"]}
            names = keys.reindex(columns=["policy", "opponent", "language"]).astype(object).fillna(ALL)
            labels.append(names.assign(average=average, _level=level))
            members.append((codes.to_numpy() == np.arange(len(keys))[:, None]).astype(float))
            count, level = count + len(keys), level + 1
    return _Groups(pd.concat(labels, ignore_index=True), np.concatenate(members), means)


def _shares(sums: np.ndarray) -> np.ndarray:
    """Compute percentages, averaged over runs, from sums (..., runs, [win, loss, ..., n]); the result has no n.

    Runs without judgements are excluded from the mean.
    """
    n = sums[..., -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 100 * sums[..., :-1] / n
        if shares.shape[-2] == 1:
            return shares[..., 0, :]
        return np.nansum(shares, axis=-2) / (n > 0).sum(axis=-2)


def _all_shares(sums: np.ndarray, groups: _Groups) -> np.ndarray:
    """Compute the shares of all groups from sums (resamples, groups other than macro, runs, values)."""
    macro = np.fromiter(groups.means, int)
    summed = np.setdiff1d(np.arange(len(groups.labels)), macro)
    shares = np.empty((len(sums), len(groups.labels), sums.shape[-1] - 1))
    shares[:, summed] = _shares(sums)
    parts = list(groups.means.values())
    sizes = np.array([len(part) for part in parts])
    totals = np.add.reduceat(shares[:, np.concatenate(parts)], np.cumsum(sizes) - sizes, axis=1)
    shares[:, macro] = totals / sizes[:, None]
    return shares


def _drawn_rates(sums: np.ndarray, groups: _Groups) -> np.ndarray:
    """Compute the rates `BOUNDED` of all groups from sums (resamples, groups, runs, [win, loss, points, n])."""
    shares = _all_shares(sums, groups)
    rates = np.empty((*shares.shape[:2], len(BOUNDED)))
    rates[..., :2], rates[..., 3] = shares[..., :2], shares[..., 2]
    np.subtract(shares[..., 0], shares[..., 1], out=rates[..., 2])
    return rates


def _cell_sums(judged: pd.DataFrame, prompts: pd.Index) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the cells in order of first occurrence, and their sums (prompts, cells, runs, values).

    The values are win, loss, tie, unparsed, points, points squared and n.
    """
    by = ["policy", "opponent", "language"]
    codes = np.zeros(len(judged), dtype=np.int64)
    for name in by:
        column, names = pd.factorize(judged[name])
        codes = codes * len(names) + column
    codes, _ = pd.factorize(codes)
    cells = judged[by].drop_duplicates()
    clusters = prompts.get_indexer(judged["prompt_id"])
    runs, run_names = pd.factorize(judged["run"])
    values = np.zeros((len(judged), 7))
    values[np.arange(len(judged)), judged["verdict"].map(CODES).astype(int)] = 1
    values[:, _POINTS] = judged["points"] if "points" in judged else judged["verdict"].map(WORTH).astype(float)
    values[:, _SQUARES] = values[:, _POINTS] ** 2
    values[:, _N] = 1
    values[judged["status"].eq("error")] = 0
    shape = len(prompts), len(cells) * len(run_names)
    sums = cluster_sums(clusters, codes * len(run_names) + runs, values, shape)
    sums = sums.reshape(len(prompts), len(cells), len(run_names), 7)
    if (sums[..., _N] == sums[..., :1, _N]).all():  # then averaging over runs equals pooling them
        sums = sums.sum(axis=2, keepdims=True)
    return cells.reset_index(drop=True), sums


def _single_variances(sums: np.ndarray) -> np.ndarray:
    """Compute the variance of the rates `BOUNDED` for independent judgements, from sums (groups, runs, values).

    Judgements that are repeated in several runs count once.
    """
    n = sums[..., _N].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = sums.mean(axis=1) / n[:, None]
        win, loss, points = share[:, _WIN], share[:, _LOSS], share[:, _POINTS]
        single = [
            win * (1 - win), loss * (1 - loss), win + loss - (win - loss) ** 2, share[:, _SQUARES] - points**2
        ]  # fmt: skip
        return 1e4 * np.stack(single, axis=-1) / n[:, None]


def _residuals(grouped: np.ndarray) -> np.ndarray:
    """Compute the linearised contribution of each cluster to the error of the rates `BOUNDED`.

    The result has the shape (clusters, groups, rates).
    """
    sums = grouped[..., [_WIN, _LOSS, _POINTS, _N]]
    totals = sums.sum(axis=0)
    n = totals[..., 3:]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.nan_to_num((sums[..., :3] - totals[..., :3] / n * sums[..., 3:]) / n)
    win, loss, points = np.moveaxis(errors.sum(axis=2) / np.maximum((n > 0).sum(axis=1), 1), -1, 0)
    return np.stack([win, loss, win - loss, points], axis=-1)


def _freedom(grouped: np.ndarray, groups: _Groups, variance: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Compute the degrees of freedom of the rates of each group, shape (groups, `BOUNDED`).

    The variance of independent judgements follows from their mean, but the variance that clustering adds has to be
    estimated from the clusters. The share of the added variance determines the weight between the largest possible
    number of degrees of freedom and the number for the residuals. Because a few losses give little information about
    that share, it is at least the share that a correlation of `LEAST_CORRELATION` within prompts would add.
    """
    macro = np.fromiter(groups.means, int)
    summed = np.setdiff1d(np.arange(len(groups.labels)), macro)
    single, freedom, each = np.empty_like(variance), np.empty_like(variance), np.empty(len(variance))
    residuals, totals = _residuals(grouped), grouped.sum(axis=0)
    single[summed], each[summed] = _single_variances(totals), totals[..., _N].mean(axis=1)
    freedom[summed] = degrees_of_freedom(residuals, clusters[summed][:, None])
    place = {number: row for row, number in enumerate(summed)}
    for number, parts in groups.means.items():
        single[number], each[number] = single[parts].mean(axis=0) / len(parts), each[parts].sum()
        mean = residuals[:, [place[part] for part in parts]].mean(axis=1)
        freedom[number] = degrees_of_freedom(mean, clusters[number])
    with np.errstate(divide="ignore", invalid="ignore"):
        added = np.clip(np.nan_to_num(1 - single / variance, nan=0, neginf=0), 0, 1)
    excess = LEAST_CORRELATION * np.maximum(each / np.maximum(clusters, 1) - 1, 0)  # Kish's design effect, less 1
    added = np.maximum(added, (excess / (1 + excess))[:, None])
    return 1 / (added / freedom + (1 - added) / np.maximum(clusters - 1, 1)[:, None])


def _wilson(rows: pd.DataFrame, level: float) -> pd.DataFrame:
    """Replace the intervals of Win% and Loss% with Wilson's for rows whose judgements are independent."""
    single = rows["average"].eq("") & rows["runs"].eq(1) & rows["judgements"].eq(rows["prompts"])
    single &= rows["opponent"].ne(ALL) & rows["judgements"].gt(0)
    for name in ("win_percent", "loss_percent"):
        n = rows.loc[single, "judgements"]
        low, high = proportion_confint((rows.loc[single, name] * n / 100).round(), n, 1 - level, method="wilson")
        rows.loc[single, f"{name}_low"], rows.loc[single, f"{name}_high"] = 100 * low.round(15), 100 * high.round(15)
    rows.loc[single, "interval"] = "wilson (win, loss), cluster bootstrap (difference, score)"
    return rows


def estimate_rates(judged: pd.DataFrame, draws: int = DRAWS, seed: int = 1, level: float = LEVEL) -> pd.DataFrame:
    """Estimate win, loss, tie and unparsed shares with 95% intervals, at every level of aggregation.

    Parameters
    ----------
    judged : one row per judgement that counts. Columns: prompt_id (source prompt, which is the cluster), policy,
        opponent, language, run (0 if there is only one), verdict (policy, opponent, tie, or empty for unparsed), status
        (parsed, unparsed or error) and, optionally, points (the policy's share of a judgement in [0, 1], for graded
        preferences; by default 1 for a win and 0.5 for a tie).
    draws, seed : number of resamples and seed of the bootstrap over prompts.
    level : coverage of the intervals.

    Returns
    -------
    One row per policy, opponent (and ``all``) and language (and ``all``). ``average`` is the kind of average over
    languages: ``pooled`` (equal weight per judgement) or ``macro`` (equal weight per language); it is empty for a
    single language. win_, loss_, tie_ and unparsed_percent, difference = W - L and score = (W + T/2)/N are percentages
    or percentage points. ``*_low`` and ``*_high`` are 95% intervals: Wilson's with the effective number of judgements
    from the variance of the cluster bootstrap (:func:`.bounded_interval`), or with the actual number for Win% and Loss%
    of a single run of a single language with one judgement per prompt; ``interval`` names the method. ``*_error`` are
    cluster-robust standard errors (not for macro). ``*_if_lost`` and ``*_if_won`` are the estimates if every unparsed
    reply counts as a loss or as a win. prompts, runs and judgements are counts. ``errors`` counts the judgements
    without a reply, which are excluded from all percentages.

    Raises
    ------
    TableError
        There are no rows, or a verdict has another value than those above.
    """
    if judged.empty:
        raise TableError("verdicts: there are no rows")
    unknown = set(judged["verdict"].unique()) - set(CODES)
    if unknown:
        raise TableError(f"verdicts: verdict is {min(map(str, unknown))!r}; expected {', '.join(filter(None, CODES))}")
    prompts, runs = pd.Index(judged["prompt_id"].unique()), judged["run"].nunique()
    # a few policies at a time: no group has several, and the draws depend only on the prompts
    parts = [_estimate(own, prompts, draws, seed, level) for own in blocks_of_policies(judged)]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.sort_values("_level", kind="stable", ignore_index=True).assign(runs=runs)
    return _wilson(rows, level)[_COLUMNS]


def _estimate(judged: pd.DataFrame, prompts: pd.Index, draws: int, seed: int, level: float) -> pd.DataFrame:
    """Return the rows of :func:`estimate_rates` for some policies, with _level instead of runs."""
    cells, sums = _cell_sums(judged, prompts)
    groups = _group(cells)
    rows, members = groups.labels.copy(), groups.members
    macro = rows["average"].eq(MACRO)
    grouped = np.moveaxis(np.tensordot(members[~macro], sums, (1, 1)), 0, 1)  # (clusters, groups, runs, values)
    points = _all_shares(grouped.sum(axis=0)[None], groups)[0]
    for column, name in enumerate([*(f"{name}_percent" for name in OUTCOMES), "score"]):
        rows[name] = points[:, column]
    rows["difference"] = rows["win_percent"] - rows["loss_percent"]
    by_cluster = np.tensordot(sums.sum(axis=2), members, (1, 1))  # (clusters, values, groups)
    n = by_cluster[:, _N]
    rows["prompts"], rows["judgements"] = (n > 0).sum(axis=0), n.sum(axis=0).astype(int)
    keys = list(cells.columns)
    failed = judged[judged["status"].eq("error")].groupby(keys).size()
    rows["errors"] = (members @ [failed.get(key, 0) for key in cells.itertuples(index=False, name=None)]).astype(int)
    rows["difference_error"] = np.where(macro, np.nan, 100 * ratio_error(by_cluster[:, 0] - by_cluster[:, 1], n))
    rows["score_error"] = np.where(macro, np.nan, 100 * ratio_error(by_cluster[:, _POINTS], n))

    clusters = rows["prompts"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # the bootstrap variance has the divisor n, not n - 1
        variance = (clusters / (clusters - 1))[:, None] * bootstrap_variance(
            grouped[..., [_WIN, _LOSS, _POINTS, _N]], lambda block: _drawn_rates(block, groups), draws, seed
        )
    freedom = _freedom(grouped, groups, variance, clusters)
    estimates = rows[list(BOUNDED)].to_numpy()
    low, high = bounded_interval(estimates, variance, clusters[:, None], freedom, BOUNDS, level)
    for column, name in enumerate(BOUNDED):
        rows[f"{name}_low"], rows[f"{name}_high"] = low[:, column], high[:, column]
    for name in ("difference", "score"):
        rows[f"{name}_if_won"] = rows[name] + rows["unparsed_percent"]
    rows["difference_if_lost"] = rows["difference"] - rows["unparsed_percent"]
    rows["score_if_lost"] = rows["score"]
    return rows.assign(interval="cluster bootstrap")


def pooled_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """Select the rows per policy and opponent with all languages pooled."""
    return estimates[estimates["opponent"].ne(ALL) & estimates["average"].eq(POOLED)].drop(
        columns=["language", "average"]
    )


def language_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """Select the rows per policy, opponent and language."""
    return estimates[estimates["opponent"].ne(ALL) & estimates["average"].eq("")].drop(columns="average")
