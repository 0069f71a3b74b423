"""Win rates, position bias and paired differences. Every table derives from verdict rows (schema VERDICTS) alone.

A judgement is one pair of answers in one order. The judge sees both orders once; ``balanced`` counts both, ``paper``
looks up five random-order runs from them (at temperature 0 a second call in the same order gives the same verdict).
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from polypref.result_tables import TableError, name_ids

ORDERS = ("policy_first", "opponent_first")
OUTCOMES = ("win", "loss", "tie", "unparsed")
PAIR = ["item_id", "policy", "opponent"]
ALL = "all"
POINTS = {"policy": 100.0, "opponent": -100.0, "tie": 0.0, "": 0.0}
"""Worth of a verdict in points of W - L; an unparsed one counts as neither."""


def check_verdicts(verdicts: pd.DataFrame) -> None:
    """Stop unless each item, policy and opponent has one row in each order and every value is a known one.

    Raises
    ------
    TableError
        A value is unknown, or an order is missing or there twice; the message names the ids.
    """
    allowed = {"order": set(ORDERS), "status": {"parsed", "unparsed", "error"}, "verdict": set(POINTS)}
    for column, values in allowed.items():
        wrong = verdicts.loc[~verdicts[column].isin(values)]
        if len(wrong):
            raise TableError(f"verdicts: {column} is {wrong[column].iloc[0]!r} in {name_ids(wrong['item_id'])}")
    wrong = verdicts[verdicts["status"].eq("parsed") != verdicts["verdict"].ne("")]
    if len(wrong):
        raise TableError(f"verdicts: status and verdict contradict each other in {name_ids(wrong['item_id'])}")
    if verdicts.duplicated([*PAIR, "order"]).any():
        twice = verdicts.loc[verdicts.duplicated([*PAIR, "order"]), "item_id"]
        raise TableError(f"verdicts: the same pair and order more than once: {name_ids(set(twice))}")
    orders = verdicts.groupby(PAIR, sort=False)["order"].nunique()
    if (orders != len(ORDERS)).any():
        ids = orders.index[orders != len(ORDERS)].map(" / ".join)
        raise TableError(f"verdicts: pairs (item / policy / opponent) without one of the two orders: {name_ids(ids)}")


def drawn_order(seed: int, item_id: str, policy: str, opponent: str, run: int) -> str:
    """The order in which a random-order run shows a pair: a digest decides, so that nothing else can change it."""
    key = "\x1f".join((str(seed), item_id, policy, opponent, str(run)))
    return ORDERS[hashlib.sha256(key.encode()).digest()[0] & 1]


def judgements(verdicts: pd.DataFrame, mode: str, runs: int, seed: int) -> pd.DataFrame:
    """The judgements that an estimate counts, with a column ``run``.

    Parameters
    ----------
    verdicts : schema VERDICTS, both orders of every pair.
    mode : ``balanced``, both orders as they are (one run), or ``paper``, `runs` runs with one random order per pair.
    runs, seed : of the mode ``paper``.

    Returns
    -------
    Rows of `verdicts` with ``run``; in the mode ``paper`` a row comes once for each run that shows its order.

    Raises
    ------
    TableError
        The rows are not one per pair and order (:func:`check_verdicts`).
    ValueError
        The mode is unknown.
    """
    check_verdicts(verdicts)
    if mode == "balanced":
        return verdicts.assign(run=0)
    if mode != "paper":
        raise ValueError(f"judging.mode is {mode!r}; expected balanced or paper")
    pairs = verdicts[PAIR].drop_duplicates()
    drawn = pd.concat([pairs.assign(run=run) for run in range(runs)], ignore_index=True)
    keys = zip(*(drawn[name] for name in [*PAIR, "run"]), strict=True)
    drawn["order"] = [drawn_order(seed, *key) for key in keys]
    return drawn.merge(verdicts, on=[*PAIR, "order"], validate="many_to_one")


def tabulate_rates(judged: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Win, loss, tie and unparsed shares per group: the mean over runs of each run's share.

    Parameters
    ----------
    judged : output of :func:`judgements`.
    by : columns of a group, for example ``["policy", "opponent"]``.

    Returns
    -------
    One row per group: `by`, prompts (pairs judged), runs, judgements (over all runs, errors left out), errors,
    win_percent, loss_percent, tie_percent, unparsed_percent (these four sum to 100), difference = W - L in percentage
    points, score = (W + T/2)/N in percent. An unparsed reply is a judgement that nobody won. A row with status
    ``error`` is no judgement, because no reply was had: it is counted in ``errors`` alone.
    """
    outcome = judged["verdict"].map({"policy": "win", "opponent": "loss", "tie": "tie", "": "unparsed"})
    outcome = outcome.mask(judged["status"].eq("error"), "error")
    counts = pd.crosstab([judged[name] for name in [*by, "run"]], outcome)
    counts = counts.reindex(columns=[*OUTCOMES, "error"], fill_value=0)
    n = counts[list(OUTCOMES)].sum(axis=1)
    shares = counts[list(OUTCOMES)].div(n.where(n > 0), axis=0).mul(100).add_suffix("_percent")
    by = list(by)
    table = pd.DataFrame({
        "prompts": judged.groupby(by)["item_id"].nunique(), "runs": judged.groupby(by)["run"].nunique(),
        "judgements": n.groupby(by).sum(), "errors": counts["error"].groupby(by).sum(),
    })  # fmt: skip
    table = table.join(shares.groupby(by).mean())
    table["difference"] = table["win_percent"] - table["loss_percent"]
    table["score"] = table["win_percent"] + table["tie_percent"] / 2
    # The order of the config, not of the alphabet.
    return judged[by].drop_duplicates().merge(table.reset_index(), on=by)


def position_bias(verdicts: pd.DataFrame) -> pd.DataFrame:
    """How much the order decides, per policy and opponent and over all of them (``all``).

    Always from both orders, whatever the mode of the win rates.

    Returns
    -------
    policy, opponent, judgements (parsed), first_percent (the first-shown answer won), second_percent, tie_percent,
    pairs (both orders parsed), flipped (the two orders disagree: the winner changes, or one is a tie), flip_percent.
    """
    check_verdicts(verdicts)
    parsed = verdicts[verdicts["status"].eq("parsed")]
    won_first = (parsed["verdict"] + "_first").eq(parsed["order"])
    place = pd.Series(
        np.where(parsed["verdict"].eq("tie"), "tie", np.where(won_first, "first", "second")), parsed.index
    )
    wide = parsed.pivot(index=PAIR, columns="order", values="verdict").reindex(columns=list(ORDERS)).dropna()
    flips = wide[ORDERS[0]].ne(wide[ORDERS[1]]).rename("flipped").reset_index()

    rows = []
    groups = [(ALL, ALL), *dict.fromkeys(zip(verdicts["policy"], verdicts["opponent"], strict=True))]
    for policy, opponent in groups:
        here, pairs = place, flips
        if policy != ALL:
            here = place[parsed["policy"].eq(policy) & parsed["opponent"].eq(opponent)]
            pairs = flips[flips["policy"].eq(policy) & flips["opponent"].eq(opponent)]
        shares = 100 * here.value_counts(normalize=True)
        rows.append({
            "policy": policy, "opponent": opponent, "judgements": len(here),
            **{f"{name}_percent": float(shares.get(name, 0.0)) for name in ("first", "second", "tie")},
            "pairs": len(pairs), "flipped": int(pairs["flipped"].sum()),
            "flip_percent": 100 * pairs["flipped"].mean() if len(pairs) else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def clustered_mean(values: pd.Series, clusters: pd.Series) -> tuple[float, float]:
    """Mean and its standard error when the values of a cluster are not independent.

    Parameters
    ----------
    values : one per observation.
    clusters : the cluster of each, same length.

    Returns
    -------
    The mean and the cluster-robust standard error of Liang and Zeger (1986) for a mean, with the correction
    G/(G - 1); nan where there are fewer than two clusters.
    """
    n = len(values)
    sums = (values - values.mean()).groupby(clusters.to_numpy()).sum()
    groups = len(sums)
    if groups < 2:
        return float(values.mean()) if n else np.nan, np.nan
    return float(values.mean()), float(np.sqrt(groups / (groups - 1) * (sums**2).sum()) / n)


def paired_differences(judged: pd.DataFrame, base: str) -> pd.DataFrame:
    """W - L of each variant minus that of the base, prompt by prompt.

    Parameters
    ----------
    judged : output of :func:`judgements`.
    base : name of the policy that the variants were trained from.

    Returns
    -------
    One row per item, variant and opponent: policy, opponent, language, item_id, prompt_id, policy_points, base_points
    (mean of +100, 0 and -100 over the judgements of the item) and improvement, their difference. An item is left out
    where either side has no judgement but errors.

    Raises
    ------
    TableError
        There are no rows of the base, or a variant was judged on other items than the base.
    """
    if base not in set(judged["policy"]):
        raise TableError(f"verdicts: no rows of the base policy {base!r}; found {', '.join(judged['policy'].unique())}")
    keys = ["opponent", "item_id"]
    asked = judged[["policy", *keys]].drop_duplicates()
    wanted = set(map(tuple, asked.loc[asked["policy"].eq(base), keys].to_numpy()))
    for policy, rows in asked[asked["policy"].ne(base)].groupby("policy"):
        unmatched = wanted ^ set(map(tuple, rows[keys].to_numpy()))
        if unmatched:
            raise TableError(f"verdicts: {policy} and {base} differ in {name_ids(map(' / '.join, unmatched))}")
    had_reply = judged[judged["status"].ne("error")]
    points = had_reply.assign(points=had_reply["verdict"].map(POINTS))
    by_item = ["policy", *keys, "language", "prompt_id"]
    points = points.groupby(by_item, as_index=False, sort=False)["points"].mean()
    is_base = points["policy"].eq(base)
    of_base = points.loc[is_base, [*keys, "points"]].rename(columns={"points": "base_points"})
    variants = points[~is_base].rename(columns={"points": "policy_points"})
    paired = variants.merge(of_base, on=keys, validate="many_to_one")
    return paired.assign(improvement=paired["policy_points"] - paired["base_points"])


def tabulate_improvement(paired: pd.DataFrame, languages: Sequence[str]) -> pd.DataFrame:
    """Mean paired difference per variant, opponent and language, and over all opponents and languages (``all``).

    Parameters
    ----------
    paired : output of :func:`paired_differences`.
    languages : order of the rows.

    Returns
    -------
    policy, opponent, language, prompts (distinct source prompts, the clusters), comparisons, policy_difference and
    base_difference (W - L, percentage points), improvement (their difference), standard_error of it, clustered by
    source prompt (:func:`clustered_mean`), low and high (95%, normal approximation).
    """
    rows = []
    for policy, variant in paired.groupby("policy", sort=False):
        for opponent in [ALL, *dict.fromkeys(variant["opponent"])]:
            against = variant if opponent == ALL else variant[variant["opponent"].eq(opponent)]
            for language in [ALL, *languages]:
                here = against if language == ALL else against[against["language"].eq(language)]
                if here.empty:
                    continue
                mean, error = clustered_mean(here["improvement"], here["prompt_id"])
                rows.append({
                    "policy": policy, "opponent": opponent, "language": language,
                    "prompts": here["prompt_id"].nunique(), "comparisons": len(here),
                    "policy_difference": here["policy_points"].mean(), "base_difference": here["base_points"].mean(),
                    "improvement": mean, "standard_error": error,
                    "low": mean - 1.96 * error, "high": mean + 1.96 * error,
                })  # fmt: skip
    return pd.DataFrame(rows)
