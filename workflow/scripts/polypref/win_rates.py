"""Which judgements count, and how much their order decides, from verdict rows (schema VERDICTS) alone.

A judgement is one pair of answers in one order. The judge sees both orders once; ``balanced`` counts both, ``paper``
looks up five random-order runs from them (at temperature 0 a second call in the same order gives the same verdict).
"""

import hashlib

import numpy as np
import pandas as pd

from polypref.result_tables import TableError, name_ids

ORDERS = ("policy_first", "opponent_first")
PAIR = ["item_id", "policy", "opponent"]
ALL = "all"
VERDICTS = ("policy", "opponent", "tie", "")


def check_verdicts(verdicts: pd.DataFrame) -> None:
    """Stop unless each item, policy and opponent has one row in each order and every value is a known one.

    Raises
    ------
    TableError
        A value is unknown, or an order is missing or there twice; the message names the ids.
    """
    allowed = {"order": set(ORDERS), "status": {"parsed", "unparsed", "error"}, "verdict": set(VERDICTS)}
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


def position_bias(verdicts: pd.DataFrame) -> pd.DataFrame:
    """How much the order decides, per policy and opponent and over all of them (``all``).

    Always from both orders, whatever the mode of the win rates.

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
    wide = parsed.pivot(index=key, columns="order", values="verdict").reindex(columns=list(ORDERS)).dropna()
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
