"""Selecting the pairs for training, however many there are: only a dozen bytes per pair are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from polypref.files.digests import fraction
from polypref.files.table_writer import open_table
from polypref.files.tables import atomic_write, iter_batches, iter_rows
from polypref.sources.templates import EMPTY, EQUAL
from polypref.training.trainer_data import FATES, DataError, name_pairs

LENGTHS = pa.schema(
    [
        ("item_id", pa.string()),
        ("language", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("chosen_tokens", pa.int32()),
        ("rejected_tokens", pa.int32()),
    ]
)
"""Columns of a file of :func:`polypref.training.trainer_data.check_lengths`, without the fates."""


class Checked(NamedTuple):
    """The pairs of a data set in order: their fates, which are held out (if any), and how many were changed."""

    fates: pd.Series
    held_out: np.ndarray | None
    changed: int


def write_lengths(
    measured: Iterable[tuple[pd.DataFrame, int]],
    path: Path,
    held_out: Callable[[Sequence[str]], np.ndarray | None] = lambda items: None,
) -> Checked:
    """Write the lengths of pairs to a file, and return what their selection needs.

    Parameters
    ----------
    measured : from :func:`polypref.training.trainer_data.measure_data_set`.
    path : Parquet file, in the schema `LENGTHS`.
    held_out : function that returns which of some ids are held out, or None if none are.
    """
    codes, out, changed = [np.empty(0, np.int8)], [], 0
    with open_table(path, LENGTHS) as file:
        for lengths, merged in measured:
            file.write(pa.Table.from_pandas(lengths[LENGTHS.names], LENGTHS, preserve_index=False))
            codes.append(lengths["fate"].cat.codes.to_numpy(np.int8, copy=True))
            if (own := held_out(lengths["item_id"])) is not None:
                out.append(own)
            changed += merged
    return Checked(_series(np.concatenate(codes)), np.concatenate(out) if out else None, changed)


def name_chosen(path: Path, chosen: np.ndarray) -> str:
    """Name the pairs that a mask chooses: the first few, and the number of the others.

    ``path``: file from :func:`write_lengths`.
    """
    rows = iter_rows(path, LENGTHS, ["item_id", "language"], chosen)
    return name_pairs(((row["item_id"], row["language"]) for row in rows), np.count_nonzero(chosen))


def write_left_out(path: Path, fates: pd.Series, target: Path) -> None:
    """Write the lengths and fates of all pairs that are not simply kept as CSV.

    Parameters
    ----------
    path : file from :func:`write_lengths`.
    fates : from :func:`choose_rows`.
    """
    start = 0
    with atomic_write(target, "w") as file:
        pd.DataFrame(columns=[*LENGTHS.names, "fate"]).to_csv(file, index=False, lineterminator="\n")
        for table in iter_batches(path, LENGTHS):
            own = fates.iloc[start : start + len(table)]
            start += len(table)
            left = table.filter(pa.array(own.ne("kept").to_numpy()))
            rows = left.to_pandas().assign(fate=own[own.ne("kept")].to_numpy())
            rows.to_csv(file, header=False, index=False, lineterminator="\n")


def hold_out(item_ids: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Return for each pair whether it is held out.

    Whether an item is held out follows from the digest of its id. It is therefore the same in all languages and data
    sets, and does not depend on the other items. The share of held-out items is therefore approximate.
    """
    return np.array([fraction("held out", seed, item) < share for item in item_ids], dtype=bool)


def choose_rows(
    fates: pd.Series, overlong: str, batch_size: int, seed: int, held_out: np.ndarray | None = None,
    name: Callable[[np.ndarray], str] = lambda rows: str(np.flatnonzero(rows)),
) -> pd.Series:  # fmt: skip
    """Select the rows for training; see :func:`is_trained`.

    A random sample of rows is left out so that all batches are full. OpenRLHF makes no optimiser step for an incomplete
    batch, and counts steps wrongly when it resumes a training that has one.

    Parameters
    ----------
    fates : Series of `FATES`
        From :func:`polypref.training.trainer_data.check_lengths`.
    overlong : {"error", "drop", "cut"}
        ``drop`` leaves out rows that are too long, ``cut`` keeps those whose answer can be truncated, and ``error``
        raises an error for both.
    held_out : array, optional
        From :func:`hold_out`.
    name : callable
        Function that returns the names of the rows that a mask chooses, for messages; by default their positions.

    Returns
    -------
    Series of `FATES`
        ``kept``, ``cut`` (only with ``overlong: cut``), ``equal``, ``empty``, ``dropped``, ``held_out`` or
        ``remainder``.

    Raises
    ------
    DataError
        Rows are too long and ``overlong`` is ``error``, less than one batch is left, or no usable row is held out.
    """
    names = FATES.categories
    fate, code = fates.cat.codes.to_numpy(np.int8, copy=True), {name: names.get_loc(name) for name in names}
    long = np.isin(fate, [code["dropped"], code["cut"]])
    if overlong == "error" and long.any():
        raise DataError(
            f"{long.sum()} of {len(fate)} pairs do not fit training.max_length: item {name(long)}. "
            "Raise it, or set training.overlong to drop or cut."
        )
    if overlong != "cut":
        fate[fate == code["cut"]] = code["dropped"]
    usable = np.isin(fate, [code["kept"], code["cut"]])
    if held_out is not None:
        fate[held_out & usable] = code["held_out"]
        usable &= ~held_out
        if not (fate == code["held_out"]).any():
            raise DataError(f"none of {len(fate)} pairs is held out. Raise training.held_out, or set it to 0.")
    count = np.count_nonzero(usable)
    if count < batch_size:
        same, empty = ((fate == code[name]).sum() for name in ("equal", "empty"))
        why = f" ({same} where {EQUAL}; {empty} where {EMPTY})" if same or empty else ""
        raise DataError(
            f"{count} of {len(fate)} pairs are left to train on{why}, less than one batch of {batch_size}. Lower "
            "training.batch_size, raise training.max_length, or find out why the data set is so small."
        )
    if count % batch_size:
        order = np.random.default_rng(seed).permutation(np.flatnonzero(usable).astype(np.int32))
        fate[order[: count % batch_size]] = code["remainder"]
    return _series(fate)


def is_trained(fates: pd.Series) -> pd.Series:
    """Return which rows are trained on, of :func:`choose_rows`."""
    return fates.eq("kept") | fates.eq("cut")


def _series(codes: np.ndarray) -> pd.Series:
    return pd.Series(pd.Categorical.from_codes(codes, dtype=FATES), name="fate")


def steps_between_evaluations(steps: int) -> int:
    """Return after how many steps to evaluate on held-out pairs: 5 to 10 times, the last time near the last step."""
    return min(range(-(-steps // 10), -(-steps // 5) + 1), key=lambda every: (steps % every, every))
