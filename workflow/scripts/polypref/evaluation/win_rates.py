"""Selection of the judgements that count, and position bias, both computed from verdict rows (schema VERDICTS).

A judgement is the comparison of one pair of answers in one order. At temperature 0 the judge compares each pair once in
each order. The mode ``balanced`` counts both judgements; the mode ``paper`` builds runs with a random order per pair
from them, because a second call in the same order would give the same verdict. Above temperature 0 every such run has a
reply of its own, in one order; this is the mode ``sampled``.
"""

import numpy as np
import pandas as pd

from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError
from polypref.requests.judge import ORDERS, random_order

PAIR = ["item_id", "policy", "opponent"]
ALL = "all"
VERDICTS = ("policy", "opponent", "tie", "")


def check_values(verdicts: pd.DataFrame) -> None:
    """Check that every order, status and verdict has a known value, and that status and verdict are consistent.

    Raises
    ------
    TableError
        A value is unknown or inconsistent; the message names the ids.
    """
    allowed = {"order": set(ORDERS), "status": {"parsed", "unparsed", "error"}, "verdict": set(VERDICTS)}
    for column, values in allowed.items():
        wrong = verdicts.loc[~verdicts[column].isin(values)]
        if len(wrong):
            raise TableError(f"verdicts: {column} is {wrong[column].iloc[0]!r} in {name_ids(wrong['item_id'])}")
    wrong = verdicts[verdicts["status"].eq("parsed") != verdicts["verdict"].ne("")]
    if len(wrong):
        raise TableError(f"verdicts: status and verdict contradict each other in {name_ids(wrong['item_id'])}")


def check_orders(verdicts: pd.DataFrame) -> None:
    """Check that each item, policy and opponent has exactly one row in each order.

    Raises
    ------
    TableError
        An order is missing or occurs twice; the message names the ids.
    """
    if verdicts.duplicated([*PAIR, "order"]).any():
        twice = verdicts.loc[verdicts.duplicated([*PAIR, "order"]), "item_id"]
        raise TableError(f"verdicts: the same pair and order occur more than once: {name_ids(set(twice))}")
    orders = verdicts.groupby(PAIR, sort=False)["order"].nunique()
    if (orders != len(ORDERS)).any():
        ids = orders.index[orders != len(ORDERS)].map(" / ".join)
        raise TableError(f"verdicts: pairs (item / policy / opponent) without one of the two orders: {name_ids(ids)}")


def check_runs(verdicts: pd.DataFrame, runs: int) -> None:
    """Check that each item, policy and opponent has exactly one row in each run (``sample``).

    Raises
    ------
    TableError
        A run is missing or occurs twice; the message names the ids.
    """
    found = verdicts.groupby(PAIR, sort=False)["sample"].agg(["nunique", "size", "min", "max"])
    wrong = found[(found["nunique"] != runs) | (found["size"] != runs) | (found["min"] != 0) | (found["max"] >= runs)]
    if len(wrong):
        ids = wrong.index.map(" / ".join)
        raise TableError(f"verdicts: pairs (item / policy / opponent) without one row in each of {runs} runs: "
                         f"{name_ids(ids)}")  # fmt: skip


def judgements(verdicts: pd.DataFrame, mode: str, runs: int, seed: int) -> pd.DataFrame:
    """Select the judgements that the estimates count, and add the column ``run``.

    Parameters
    ----------
    verdicts : schema VERDICTS with both orders of every pair, or in the mode ``sampled`` one row per pair and run.
    mode : ``balanced`` counts both orders as one run; ``paper`` builds `runs` runs from them, with one random order per
        pair; ``sampled`` uses `runs` runs that were judged separately.
    runs, seed : number of runs, and seed of their random orders.

    Returns
    -------
    Rows of `verdicts` with ``run``. In the mode ``paper`` a row occurs once for each run that uses its order.

    Raises
    ------
    TableError
        A value is unknown, or there is not exactly one row per pair and order (``sampled``: per pair and run).
    ValueError
        The mode is unknown.
    """
    if mode not in ("balanced", "paper", "sampled"):
        raise ValueError(f"judging.mode is {mode!r}; expected balanced or paper")
    check_values(verdicts)
    if mode == "sampled":
        check_runs(verdicts, runs)
        return verdicts.assign(run=verdicts["sample"])
    check_orders(verdicts)
    if mode == "balanced":
        return verdicts.assign(run=0)
    pairs = verdicts[PAIR].drop_duplicates()
    by_run = pd.concat([pairs.assign(run=run) for run in range(runs)], ignore_index=True)
    keys = zip(*(by_run[name] for name in [*PAIR, "run"]), strict=True)
    by_run["order"] = [random_order(seed, *key) for key in keys]
    return by_run.merge(verdicts, on=[*PAIR, "order"], validate="many_to_one")


def position_bias(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Measure how much the verdicts depend on the order, per policy and opponent and over all of them (``all``).

    All judgements are used, regardless of the mode of the win rates. If a pair was judged several times in an order
    (sampled runs), the first reply in each order determines whether the pair flipped.

    Parameters
    ----------
    verdicts : data frame with item_id, policy, opponent, order, verdict, status and, optionally, run.

    Returns
    -------
    policy, opponent, judgements (parsed), first_percent (share won by the answer shown first), second_percent,
    tie_percent, pairs (with a parsed verdict in both orders), flipped (pairs whose two orders disagree, so that the
    winner changes or one of them is a tie), flip_percent.
    """
    parsed = verdicts[verdicts["status"].eq("parsed")]
    key = [*PAIR, "run"] if "run" in parsed else PAIR
    won_first = (parsed["verdict"] + "_first").eq(parsed["order"])
    place = pd.Series(
        np.where(parsed["verdict"].eq("tie"), "tie", np.where(won_first, "first", "second")), parsed.index
    )
    once = parsed.drop_duplicates([*key, "order"])
    wide = once.pivot(index=key, columns="order", values="verdict").reindex(columns=list(ORDERS)).dropna()
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
