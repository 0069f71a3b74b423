"""The rows a trainer sees: rendered, counted and chosen before training starts.

OpenRLHF 0.11 drops a row in silence when its prompt does not leave room for an answer, cuts an answer at the maximum
length, and never steps on the rows that do not fill the last batch. ``openrlhf/datasets/reward_dataset.py`` is
mirrored here so that all three are known, reported and decided beforehand. A pair whose answers are equal or empty as
the chat template renders them (a template may remove what they differ in) teaches nothing and is left out too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from polypref.files.schemas import DATASET
from polypref.files.tables import read_table, write_table
from polypref.sources.templates import (
    EMPTY,
    EQUAL,
    UNTRAINABLE,
    Rendered,
    fault_of,
    is_trainable,
    render_pair,
    use_template,
)
from polypref.sources.tokens import TokenizerError

COLUMNS = ["item_id", "language", "chosen_messages", "rejected_messages"]
"""What training reads of a data set: the two conversations, and the two columns that name them in reports."""

SCHEMA = pa.schema([DATASET.field(name) for name in COLUMNS])
ROOM = 2
"""Tokens that OpenRLHF wants free behind a prompt."""


class DataError(ValueError):
    """The data set can't be trained on as it is; the message names file or rows and the remedy."""


def read_pairs(path: Path) -> pd.DataFrame:
    """Read what training sees of a data set, in the order of the file: one row per pair, columns ``COLUMNS``."""
    return pd.DataFrame(read_table(path, SCHEMA).to_pylist(), columns=COLUMNS)


def write_pairs(pairs: pd.DataFrame, path: Path) -> None:
    """Write pairs as the Parquet file that the trainer reads."""
    write_table(path, pairs[COLUMNS].to_dict("records"), SCHEMA)


def _messages(column: Sequence[Any]) -> list[list[dict[str, str]]]:
    return [[dict(message) for message in messages] for messages in column]


def _require_template(tokenizer: Any) -> None:
    name = getattr(tokenizer, "name_or_path", "tokenizer")
    try:
        use_template(tokenizer, None, name)
    except TokenizerError as error:
        raise DataError(str(error)) from None
    if not tokenizer.eos_token:
        raise DataError(f"{name}: its tokenizer has no end-of-text token")


def render(pairs: pd.DataFrame, tokenizer: Any) -> list[Rendered]:
    """Render prompts and both whole conversations with the tokenizer's chat template.

    Raises
    ------
    DataError
        When the two answers of a pair have different prompts, or the template writes a conversation that does not
        begin with its own prompt, which OpenRLHF would cut in the wrong place.
    """
    _require_template(tokenizer)
    chosen, rejected = _messages(pairs["chosen_messages"]), _messages(pairs["rejected_messages"])
    uneven = [i for i, (a, b) in enumerate(zip(chosen, rejected, strict=True)) if a[:-1] != b[:-1]]
    if uneven:
        raise DataError(f"chosen and rejected have different prompts: item {_ids(pairs, uneven)}")
    rendered = [render_pair(tokenizer, *sides) for sides in zip(chosen, rejected, strict=True)]
    foreign = [i for i, pair in enumerate(rendered) if not is_trainable(pair)]
    if foreign:
        raise DataError(f"item {_ids(pairs, foreign)}: {UNTRAINABLE}.")
    return rendered


def _closed(text: str, end: str) -> str:
    text = text.rstrip("\n")
    return text if text.endswith(end) else f"{text} {end}"


def _ids(pairs: pd.DataFrame, positions: Sequence[int], most: int = 5) -> str:
    some = pairs.iloc[list(positions[:most])]
    ids = [f"{row.item_id} ({row.language})" for row in some.itertuples()]
    more = f" and {len(positions) - most} more" if len(positions) > most else ""
    return ", ".join(ids) + more


def check_lengths(pairs: pd.DataFrame, tokenizer: Any, max_length: int) -> pd.DataFrame:
    """Count tokens of every pair and foretell what OpenRLHF would do with it.

    Parameters
    ----------
    pairs : DataFrame
        Columns ``COLUMNS``; one row per pair.
    tokenizer : PreTrainedTokenizer
        The trainee's own.
    max_length : int
        Most tokens of prompt and answer together.

    Returns
    -------
    DataFrame
        Same rows and order: ``item_id``, ``language``, ``prompt_tokens``, ``chosen_tokens``, ``rejected_tokens``
        (both with the prompt, as the trainer counts) and ``fate``: ``equal`` when the two answers are the same as
        rendered (invisible characters aside), ``empty`` when one of them is empty, ``dropped`` when the prompt does not
        leave room for an answer, ``cut`` when an answer is longer than ``max_length``, else ``kept``.
    """
    names = ("prompt_tokens", "chosen_tokens", "rejected_tokens")
    counts = dict.fromkeys(names, ())
    faults: list[str] = []
    if len(pairs):
        rendered, end = render(pairs, tokenizer), tokenizer.eos_token
        texts = zip(*((prompt, _closed(one, end), _closed(two, end)) for prompt, one, two in rendered), strict=True)
        counts = {name: _count(tokenizer, list(side)) for name, side in zip(names, texts, strict=True)}
        faults = [fault_of(pair, end) for pair in rendered]
    lengths = pairs[["item_id", "language"]].reset_index(drop=True).assign(**counts)
    dropped = lengths["prompt_tokens"] >= max_length - ROOM
    cut = lengths[["chosen_tokens", "rejected_tokens"]].max(axis=1) > max_length
    equal, empty = (np.array([fault == kind for fault in faults], dtype=bool) for kind in (EQUAL, EMPTY))
    fates = np.select([equal, empty, dropped, cut], ["equal", "empty", "dropped", "cut"], "kept")
    return lengths.assign(fate=fates)


def _count(tokenizer: Any, texts: list[str]) -> list[int]:
    encoded = tokenizer(texts, add_special_tokens=False, padding=False, truncation=False, verbose=False)
    return [len(ids) for ids in encoded["input_ids"]]


def choose_rows(lengths: pd.DataFrame, overlong: str, batch_size: int, seed: int) -> pd.DataFrame:
    """Decide which rows are trained on.

    Rows that would not fill the last batch are left out too, a random draw: OpenRLHF runs them through the model
    without ever stepping on them, and its resumed runs count steps wrongly when there are any.

    Parameters
    ----------
    lengths : DataFrame
        From :func:`check_lengths`.
    overlong : {"error", "drop", "cut"}
        ``drop`` leaves rows out that do not fit, ``cut`` keeps those whose answer the trainer can cut, ``error``
        refuses both.

    Returns
    -------
    DataFrame
        ``lengths`` with fates of its own: ``kept``, ``cut`` (with ``overlong: cut`` these are trained on), ``equal``,
        ``empty``, ``dropped``, ``remainder``; and ``trained``, a bool.

    Raises
    ------
    DataError
        When rows do not fit and ``overlong`` is ``error``, or when less than one batch is left.
    """
    fate = lengths["fate"]
    long = fate.isin(["dropped", "cut"])
    if overlong == "error" and long.any():
        raise DataError(
            f"{long.sum()} of {len(fate)} pairs do not fit training.max_length: item "
            f"{_ids(lengths, np.flatnonzero(long))}. Raise it, or set training.overlong to drop or cut."
        )
    if overlong != "cut":
        fate = fate.replace("cut", "dropped")
    usable = np.flatnonzero(fate.isin(["kept", "cut"]))
    if len(usable) < batch_size:
        same, empty = (fate == "equal").sum(), (fate == "empty").sum()
        why = f" (in {same}, {EQUAL}; in {empty}, {EMPTY})" if same or empty else ""
        raise DataError(
            f"{len(usable)} of {len(fate)} pairs are left to train on{why}, less than one batch of {batch_size}. Lower "
            "training.batch_size, raise training.max_length, or find out why the data set is so small."
        )
    spare = np.random.default_rng(seed).permutation(usable)[: len(usable) % batch_size]
    fate = fate.mask(fate.index.isin(spare), "remainder")
    return lengths.assign(fate=fate, trained=fate.isin(["kept", "cut"]))


def conversations(pairs: pd.DataFrame) -> list[list[list[list[str]]]]:
    """What training sees of the pairs, in order, as JSON: per pair two lists of [role, content]."""
    columns = (_messages(pairs["chosen_messages"]), _messages(pairs["rejected_messages"]))
    return [[[[m["role"], m["content"]] for m in side] for side in pair] for pair in zip(*columns, strict=True)]
