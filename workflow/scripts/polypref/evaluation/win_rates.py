"""Which judgements count, and how much their order decides, from verdict rows (schema VERDICTS) alone.

A judgement is one pair of answers in one order. The judge sees both orders once; ``balanced`` counts both, ``paper``
looks up five random-order runs from them (at temperature 0 a second call in the same order gives the same verdict).
Above temperature 0 each of those runs is a reply of its own, in one order: ``sampled``.
"""

import numpy as np
import pandas as pd

from polypref.files.result_tables import TableError, name_ids
from polypref.requests.judge import ORDERS, random_order

PAIR = ["item_id", "policy", "opponent"]
ALL = "all"
VERDICTS = ("policy", "opponent", "tie", "")


def check_values(verdicts: pd.DataFrame) -> None:
    """Stop unless every order, status and verdict is a known one and they fit each other.

    Raises
    ------
    TableError
        A value is unknown; the message names the ids.
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
    """Stop unless each item, policy and opponent has one row in each order.

    Raises
    ------
    TableError
        An order is missing or there twice; the message names the ids.
    """
    if verdicts.duplicated([*PAIR, "order"]).any():
        twice = verdicts.loc[verdicts.duplicated([*PAIR, "order"]), "item_id"]
        raise TableError(f"verdicts: the same pair and order more than once: {name_ids(set(twice))}")
    orders = verdicts.groupby(PAIR, sort=False)["order"].nunique()
    if (orders != len(ORDERS)).any():
        ids = orders.index[orders != len(ORDERS)].map(" / ".join)
        raise TableError(f"verdicts: pairs (item / policy / opponent) without one of the two orders: {name_ids(ids)}")


def check_runs(verdicts: pd.DataFrame, runs: int) -> None:
    """Stop unless each item, policy and opponent has one row (``sample``) in each run.

    Raises
    ------
    TableError
        A run is missing or there twice; the message names the ids.
    """
    found = verdicts.groupby(PAIR, sort=False)["sample"].agg(["nunique", "size", "min", "max"])
    wrong = found[(found["nunique"] != runs) | (found["size"] != runs) | (found["min"] != 0) | (found["max"] >= runs)]
    if len(wrong):
        ids = wrong.index.map(" / ".join)
        raise TableError(f"verdicts: pairs (item / policy / opponent) without one row in each of {runs} runs: "
                         f"{name_ids(ids)}")  # fmt: skip


def judgements(verdicts: pd.DataFrame, mode: str, runs: int, seed: int) -> pd.DataFrame:
    """The judgements that an estimate counts, with a column ``run``.

    Parameters
    ----------
    verdicts : schema VERDICTS, both orders of every pair; in the mode ``sampled`` one row per pair and run.
    mode : ``balanced``, both orders as they are (one run); ``paper``, `runs` runs with one random order per pair,
        looked up; ``sampled``, `runs` runs that were judged one by one.
    runs, seed : of the runs.

    Returns
    -------
    Rows of `verdicts` with ``run``; in the mode ``paper`` a row comes once for each run that shows its order.

    Raises
    ------
    TableError
        A value is unknown, or the rows are not one per pair and order, or per pair and run.
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
    drawn = pd.concat([pairs.assign(run=run) for run in range(runs)], ignore_index=True)
    keys = zip(*(drawn[name] for name in [*PAIR, "run"]), strict=True)
    drawn["order"] = [random_order(seed, *key) for key in keys]
    return drawn.merge(verdicts, on=[*PAIR, "order"], validate="many_to_one")


def position_bias(verdicts: pd.DataFrame) -> pd.DataFrame:
    """How much the order decides, per policy and opponent and over all of them (``all``).

    From all that was judged, whatever the mode of the win rates. Where a pair was judged more than once in an order
    (sampled runs), the first reply in each order says whether it flipped.

    Parameters
    ----------
    verdicts : item_id, policy, opponent, order, verdict, status, and perhaps run.

    Returns
    -------
    policy, opponent, judgements (parsed), first_percent (the first-shown answer won), second_percent, tie_percent,
    pairs (both orders parsed), flipped (the two orders disagree: the winner changes, or one is a tie), flip_percent.
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
