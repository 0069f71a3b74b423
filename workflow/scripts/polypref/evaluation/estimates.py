"""Win rates with intervals: per language, over languages (pooled and macro), per opponent and over all opponents.

Point estimates are means over runs of each run's share; intervals (:mod:`.intervals`) have the variance that
resampling source prompts gives, with all their languages, opponents, policies and runs (:mod:`.bootstrap`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from polypref.evaluation.bootstrap import DRAWS, LEVEL, bootstrap_variance, cluster_sums, ratio_error
from polypref.evaluation.intervals import bounded_interval, degrees_of_freedom
from polypref.evaluation.win_rates import ALL
from polypref.files.result_tables import TableError

POOLED = "pooled"
MACRO = "macro"
OUTCOMES = ("win", "loss", "tie", "unparsed")
CODES = {"policy": 0, "opponent": 1, "tie": 2, "": 3}
WORTH = {"policy": 1.0, "opponent": 0.0, "tie": 0.5, "": 0.0}
"""A verdict's points in (W + T/2)/N."""
LEAST_CORRELATION = 0.35
"""Chosen by simulation (0.1 to 0.7 were tried in shapes of ``bench/bench_coverage.py``): less leaves out the truth
where a few prompts hold all losses, more makes intervals of two judgements of a prompt too wide."""
BOUNDED = ("win_percent", "loss_percent", "difference", "score")
_BOUNDS = np.array([0, 0, -100, 0]), np.array([100, 100, 100, 100])
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
    """Cells of policy, opponent and language put together.

    ``labels``: policy, opponent, language and average, one row per group. ``members``: (groups, cells), 1 where a cell
    is in a group. ``means``: a macro group to the groups per language that it is the mean of; a group of any other kind
    is the share of its cells' judgements.
    """

    labels: pd.DataFrame
    members: np.ndarray
    means: dict[int, np.ndarray]


def _group(cells: pd.DataFrame) -> _Groups:
    """Per language and over languages, per opponent and over opponents, groups in their first order."""
    labels, members, means, count = [], [], {}, 0
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
            labels.append(names.assign(average=average))
            members.append((codes.to_numpy() == np.arange(len(keys))[:, None]).astype(float))
            count += len(keys)
    return _Groups(pd.concat(labels, ignore_index=True), np.concatenate(members), means)


def _shares(sums: np.ndarray) -> np.ndarray:
    """Percentages from sums (..., runs, [win, loss, ..., n]): mean over runs of each run's share, last axis less n.

    A run without judgements is left out of the mean.
    """
    n = sums[..., -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 100 * sums[..., :-1] / n
        if shares.shape[-2] == 1:
            return shares[..., 0, :]
        return np.nansum(shares, axis=-2) / (n > 0).sum(axis=-2)


def _all_shares(sums: np.ndarray, groups: _Groups) -> np.ndarray:
    """Shares of all groups, from sums (draws, groups that are no mean, runs, values)."""
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
    """What has an interval (`BOUNDED`) of all groups, from sums (draws, groups, runs, [win, loss, points, n])."""
    shares = _all_shares(sums, groups)
    rates = np.empty((*shares.shape[:2], len(BOUNDED)))
    rates[..., :2], rates[..., 3] = shares[..., :2], shares[..., 2]
    np.subtract(shares[..., 0], shares[..., 1], out=rates[..., 2])
    return rates


def _cell_sums(judged: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Cells in their first order, and sums (clusters, cells, runs, values).

    The values: win, loss, tie, unparsed, points, points squared, n.
    """
    by = ["policy", "opponent", "language"]
    codes = np.zeros(len(judged), dtype=np.int64)
    for name in by:
        column, names = pd.factorize(judged[name])
        codes = codes * len(names) + column
    codes, _ = pd.factorize(codes)
    cells = judged[by].drop_duplicates()
    clusters, names = pd.factorize(judged["prompt_id"])
    runs, run_names = pd.factorize(judged["run"])
    values = np.zeros((len(judged), 7))
    values[np.arange(len(judged)), judged["verdict"].map(CODES)] = 1
    values[:, _POINTS] = judged["points"] if "points" in judged else judged["verdict"].map(WORTH)
    values[:, _SQUARES] = values[:, _POINTS] ** 2
    values[:, _N] = 1
    values[judged["status"].eq("error")] = 0
    shape = len(names), len(cells) * len(run_names)
    sums = cluster_sums(clusters, codes * len(run_names) + runs, values, shape)
    sums = sums.reshape(len(names), len(cells), len(run_names), 7)
    if (sums[..., _N] == sums[..., :1, _N]).all():  # then the mean of the runs' shares is the share of all runs
        sums = sums.sum(axis=2, keepdims=True)
    return cells.reset_index(drop=True), sums


def _single_variances(sums: np.ndarray) -> np.ndarray:
    """Variance that the rates (`BOUNDED`) would have if judgements were independent, from sums (groups, runs, values).

    Judgements of several runs repeat each other and count once.
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
    """What each cluster adds to the error of the rates (`BOUNDED`): (clusters, groups, rates), linearised."""
    sums = grouped[..., [_WIN, _LOSS, _POINTS, _N]]
    totals = sums.sum(axis=0)
    n = totals[..., 3:]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.nan_to_num((sums[..., :3] - totals[..., :3] / n * sums[..., 3:]) / n)
    win, loss, points = np.moveaxis(errors.sum(axis=2) / np.maximum((n > 0).sum(axis=1), 1), -1, 0)
    return np.stack([win, loss, win - loss, points], axis=-1)


def _freedom(grouped: np.ndarray, groups: _Groups, variance: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Degrees of freedom of each group's rates (groups, `BOUNDED`).

    Independent judgements have a variance that their mean gives; that of clusters is estimated from the clusters. The
    share of the variance that clusters add decides between the most degrees of freedom and those of the residuals. Few
    losses say little of that share: it is at least what judgements of a prompt with `LEAST_CORRELATION` would add.
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
    """Replace the interval of Win% and Loss% by Wilson's where judgements are independent of each other."""
    single = rows["average"].eq("") & rows["runs"].eq(1) & rows["judgements"].eq(rows["prompts"])
    single &= rows["opponent"].ne(ALL) & rows["judgements"].gt(0)
    for name in ("win_percent", "loss_percent"):
        n = rows.loc[single, "judgements"]
        low, high = proportion_confint((rows.loc[single, name] * n / 100).round(), n, 1 - level, method="wilson")
        rows.loc[single, f"{name}_low"], rows.loc[single, f"{name}_high"] = 100 * low.round(15), 100 * high.round(15)
    rows.loc[single, "interval"] = "wilson (win, loss), cluster bootstrap (difference, score)"
    return rows


def estimate_rates(judged: pd.DataFrame, draws: int = DRAWS, seed: int = 1, level: float = LEVEL) -> pd.DataFrame:
    """Win, loss, tie and unparsed shares with 95% intervals, at every level of the evaluation.

    Parameters
    ----------
    judged : one row per judgement that counts. Columns: prompt_id (source prompt, the cluster), policy, opponent,
        language, run (0 where there is one), verdict (policy, opponent, tie or empty for unparsed), status (parsed,
        unparsed or error) and perhaps points (the policy's share of a judgement in [0, 1], for graded preferences;
        without it 1 for a win, 0.5 for a tie).
    draws, seed : of the bootstrap over prompts.
    level : coverage of the intervals.

    Returns
    -------
    One row per policy, opponent (and ``all``) and language (and ``all``). ``average`` says how languages are put
    together: ``pooled`` (every judgement counts the same) or ``macro`` (every language counts the same); empty for one
    language. Percentages and percentage points: win_, loss_, tie_, unparsed_percent, difference = W - L,
    score = (W + T/2)/N; ``*_low`` and ``*_high`` are 95% intervals: Wilson's with the effective number of judgements,
    from the variance of the cluster bootstrap (:func:`.bounded_interval`), or with the number of
    judgements for Win% and Loss% of a single run of a single language with one judgement per prompt (``interval`` says
    which). ``*_error``: cluster-robust standard errors (not for macro). ``*_if_lost`` and ``*_if_won``: the estimate
    when every unparsed reply is a loss or a win. prompts, runs, judgements: how many there were; ``errors``: judgements
    without a reply, in no percentage.

    Raises
    ------
    TableError
        There are no rows, or verdicts other than those above.
    """
    if judged.empty:
        raise TableError("verdicts: there are no rows")
    unknown = set(judged["verdict"].unique()) - set(CODES)
    if unknown:
        raise TableError(f"verdicts: verdict is {min(map(str, unknown))!r}; expected {', '.join(filter(None, CODES))}")
    judged = judged.reset_index(drop=True)
    cells, sums = _cell_sums(judged)
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
    rows["runs"] = judged["run"].nunique()
    keys = list(cells.columns)
    failed = judged[judged["status"].eq("error")].groupby(keys).size()
    rows["errors"] = (members @ [failed.get(key, 0) for key in cells.itertuples(index=False, name=None)]).astype(int)
    rows["difference_error"] = np.where(macro, np.nan, 100 * ratio_error(by_cluster[:, 0] - by_cluster[:, 1], n))
    rows["score_error"] = np.where(macro, np.nan, 100 * ratio_error(by_cluster[:, _POINTS], n))

    clusters = rows["prompts"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # the bootstrap's variance is over n, not n - 1
        variance = (clusters / (clusters - 1))[:, None] * bootstrap_variance(
            grouped[..., [_WIN, _LOSS, _POINTS, _N]], lambda block: _drawn_rates(block, groups), draws, seed
        )
    freedom = _freedom(grouped, groups, variance, clusters)
    estimates = rows[list(BOUNDED)].to_numpy()
    low, high = bounded_interval(estimates, variance, clusters[:, None], freedom, _BOUNDS, level)
    for column, name in enumerate(BOUNDED):
        rows[f"{name}_low"], rows[f"{name}_high"] = low[:, column], high[:, column]
    for name in ("difference", "score"):
        rows[f"{name}_if_won"] = rows[name] + rows["unparsed_percent"]
    rows["difference_if_lost"] = rows["difference"] - rows["unparsed_percent"]
    rows["score_if_lost"] = rows["score"]
    rows["interval"] = "cluster bootstrap"
    return _wilson(rows, level)[_COLUMNS]


def pooled_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """The rows per policy and opponent, all languages pooled."""
    return estimates[estimates["opponent"].ne(ALL) & estimates["average"].eq(POOLED)].drop(
        columns=["language", "average"]
    )


def language_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """The rows per policy, opponent and language."""
    return estimates[estimates["opponent"].ne(ALL) & estimates["average"].eq("")].drop(columns="average")
