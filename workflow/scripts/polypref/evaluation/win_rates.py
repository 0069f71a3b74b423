"""Selection of the judgements that count, and position bias, both computed from verdict rows (schema VERDICTS).

A judgement is the comparison of one pair of answers in one order. At temperature 0 the judge compares each pair once in
each order. The mode ``balanced`` counts both judgements; the mode ``paper`` builds runs with a random order per pair
from them, because a second call in the same order would give the same verdict. Above temperature 0 every such run has a
reply of its own, in one order; this is the mode ``sampled``.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError
from polypref.requests.judge import ORDERS, random_order

PAIR = ["item_id", "policy", "opponent"]
ALL = "all"
COUNTED = ["item_id", "prompt_id", "language", "policy", "opponent", "order", "sample", "verdict", "status"]
"""The columns of VERDICTS that the tables are computed from."""
CATEGORIES = ("policy", "opponent", "tie")
VERDICTS = (*CATEGORIES, "")


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
    for _, own in by_policy(verdicts):
        twice = own.duplicated([*PAIR, "order"])
        if twice.any():
            ids = name_ids(set(own.loc[twice, "item_id"]))
            raise TableError(f"verdicts: the same pair and order occur more than once: {ids}")
        orders = own.groupby(PAIR, sort=False).size()
        if (orders != len(ORDERS)).any():
            ids = name_ids(orders.index[orders != len(ORDERS)].map(" / ".join))
            raise TableError(f"verdicts: pairs (item / policy / opponent) without one of the two orders: {ids}")


def check_runs(verdicts: pd.DataFrame, runs: int) -> None:
    """Check that each item, policy and opponent has exactly one row in each run (``sample``).

    Raises
    ------
    TableError
        A run is missing or occurs twice; the message names the ids.
    """
    for _, own in by_policy(verdicts):
        found = own.groupby(PAIR, sort=False)["sample"].agg(["nunique", "size", "min", "max"])
        right = found[["nunique", "size"]].eq(runs).all(axis=1) & found["min"].eq(0) & found["max"].lt(runs)
        if not right.all():
            ids = name_ids(found.index[~right].map(" / ".join))
            raise TableError(
                f"verdicts: pairs (item / policy / opponent) without one row in each of {runs} runs: {ids}"
            )


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
        return verdicts.assign(run=np.zeros(len(verdicts), np.int8))
    return pd.concat([_random_orders(own, runs, seed) for _, own in by_policy(verdicts)], ignore_index=True)


def _random_orders(verdicts: pd.DataFrame, runs: int, seed: int) -> pd.DataFrame:
    """Return the judgements of the mode ``paper`` from verdicts in both orders."""
    pairs = verdicts[PAIR].drop_duplicates()
    by_run = pd.concat([pairs.assign(run=run) for run in range(runs)], ignore_index=True)
    keys = zip(*(by_run[name] for name in [*PAIR, "run"]), strict=True)
    by_run["order"] = pd.Series([random_order(seed, *key) for key in keys]).astype(verdicts["order"].dtype)
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
    parts = [_count_positions(own) for _, own in by_policy(verdicts)]
    labels = [(ALL, ALL), *(label for cells, _ in parts for label in cells.itertuples(index=False, name=None))]
    counts = np.concatenate([found for _, found in parts])
    counts = np.concatenate([counts.sum(axis=0)[None], counts])
    counts, pairs, flips = counts[:, :3], counts[:, 3], counts[:, 4]
    total = counts.sum(axis=1)
    shares = 100 * counts / np.maximum(total, 1)[:, None]
    return pd.DataFrame(labels, columns=["policy", "opponent"]).assign(
        judgements=total, first_percent=shares[:, 0], second_percent=shares[:, 1], tie_percent=shares[:, 2],
        pairs=pairs, flipped=flips,
        flip_percent=np.where(pairs > 0, 100 * flips / np.maximum(pairs, 1), np.nan),
    )  # fmt: skip


def _count_positions(verdicts: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Count for :func:`position_bias`.

    Returns
    -------
    policy and opponent of each cell, and (cells, 5): verdicts for the answer shown first, for the second, ties, pairs
    and flipped pairs.
    """
    parsed = verdicts["status"].eq("parsed").to_numpy()
    won = positions(verdicts["verdict"], CATEGORIES)[parsed]
    late = verdicts["order"].eq(ORDERS[1]).to_numpy()[parsed]
    place = np.where(won == 2, 2, won ^ late)  # 0: the answer shown first won; 1: second; 2: tie
    codes, cells = cell_codes(verdicts, ["policy", "opponent"])
    both = verdicts_in_both_orders(verdicts, [*PAIR, "run"] if "run" in verdicts else PAIR)
    of_pair, flipped = codes[both["row"]], both["first"].to_numpy() != both["second"].to_numpy()
    counts = np.bincount(3 * codes[parsed] + place, minlength=3 * len(cells)).reshape(-1, 3)
    pairs = (np.bincount(numbers, minlength=len(cells)) for numbers in (of_pair, of_pair[flipped]))
    return cells, np.column_stack([counts, *pairs])


def positions(column: pd.Series, values: Sequence[str] | pd.Index) -> np.ndarray:
    """Return the position of each text of a column among distinct values, or -1; each category is looked up once."""
    index = pd.Index(values)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return index.get_indexer(column)
    of_category = np.append(index.get_indexer(column.cat.categories), -1)  # the last is for missing values
    return of_category.astype(np.int32)[column.cat.codes]


def by_policy(frame: pd.DataFrame) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """Divide rows by policy: yield their positions, and the rows themselves.

    What is computed from the rows of one policy at a time needs temporary memory only for these.
    """
    codes, names = pd.factorize(frame["policy"])
    if len(names) < 2:
        yield np.arange(len(frame)), frame
        return
    codes = codes.astype(np.int32)
    for number in range(len(names)):
        rows = np.flatnonzero(codes == number)
        yield rows, frame.iloc[rows]


def cell_codes(frame: pd.DataFrame, by: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Number the different values of some columns in order of first occurrence.

    Returns
    -------
    The number of each row, and the values by number.
    """
    codes = frame.groupby(by, sort=False).ngroup().to_numpy()
    codes = pd.factorize(codes)[0]
    first = ~pd.Series(codes).duplicated().to_numpy()
    return codes, frame.loc[first, by].reset_index(drop=True)


def blocks_of_policies(frame: pd.DataFrame, most: int = 1000) -> Iterator[pd.DataFrame]:
    """Divide rows by policy, so that a block has at most `most` combinations of policy, opponent and language.

    A policy is not divided, and the rows of a block are in their original order.
    """
    cells = frame[["policy", "opponent", "language"]].drop_duplicates()
    numbers: dict[str, int] = {}
    block = size = 0
    for policy, own in cells.groupby("policy", sort=False).size().items():
        if size and size + own > most:
            block, size = block + 1, 0
        numbers[policy], size = block, size + own
    blocks = frame["policy"].map(numbers).astype(int)
    for number in dict.fromkeys(numbers.values()):
        yield frame[blocks.eq(number)]


def verdicts_in_both_orders(verdicts: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Find the verdicts on the same two answers in both orders; of several parsed ones in an order, the first.

    Parameters
    ----------
    verdicts : data frame with order, verdict, status and the columns of ``key``.
    key : columns whose values are the same in both orders; policy is one of them.

    Returns
    -------
    One row per pair of answers with a parsed verdict in both orders: first and second (verdict in each of `ORDERS`:
    0 policy, 1 opponent, 2 tie) and row (number of its first row in `verdicts`).
    """
    parts = []
    for rows, own in by_policy(verdicts):
        found = _both_orders(own, key)
        parts.append(found.assign(row=rows[found["row"]]))
    return pd.concat(parts, ignore_index=True)


def _both_orders(verdicts: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    pairs, _ = pd.factorize(verdicts.groupby(key, sort=False).ngroup().to_numpy())
    found = np.full((3, pairs.max(initial=-1) + 1), -1, dtype=np.int64)
    found[2, pairs[::-1]] = np.arange(len(pairs))[::-1]
    parsed = verdicts["status"].eq("parsed").to_numpy()
    won = positions(verdicts["verdict"], CATEGORIES)
    for number, order in enumerate(ORDERS):
        here = np.flatnonzero(parsed & verdicts["order"].eq(order).to_numpy())[::-1]
        found[number, pairs[here]] = won[here]  # the first of several is assigned last
    found = found[:, (found >= 0).all(axis=0)]
    return pd.DataFrame(dict(zip(("first", "second", "row"), found, strict=True)))
