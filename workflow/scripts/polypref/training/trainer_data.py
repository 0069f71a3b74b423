"""The rows of a data set as the trainer sees them: rendered with the chat template, and with their numbers of tokens.

OpenRLHF 0.11 silently drops a row if its prompt leaves no room for an answer, truncates an answer at the maximum
length, and makes no optimiser step for an incomplete last batch. This module follows
``openrlhf/datasets/reward_dataset.py`` to detect and report all three cases before training. It also leaves out pairs
whose answers are equal or empty after rendering (a chat template may remove the difference), because nothing can be
learned from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from polypref.files.schemas import DATASET
from polypref.files.table_writer import open_table
from polypref.files.tables import iter_batches, read_ahead
from polypref.sources.templates import (
    EMPTY,
    EQUAL,
    UNTRAINABLE,
    Rendered,
    fault_of,
    is_trainable,
    merge_system,
    render_fitted,
    takes_system,
    use_template,
)
from polypref.sources.tokens import TokenizerError, token_counter

SYSTEM = "system"
SIDES = ("chosen_messages", "rejected_messages")
COLUMNS = ["item_id", "language", *SIDES]
"""Columns of a data set that training reads: two columns that identify a pair, and its two conversations."""

SCHEMA = pa.schema([DATASET.field(name) for name in COLUMNS])
FATES = pd.CategoricalDtype(["kept", "cut", "dropped", "equal", "empty", "held_out", "remainder"])
"""What happens to a pair; see :func:`check_lengths` and :func:`polypref.training.selection.choose_rows`."""
ROOM = 2
"""Number of tokens that OpenRLHF requires after a prompt."""


class DataError(ValueError):
    """The data set can't be used for training; the message names the file or rows and the remedy."""


def read_pairs(path: Path) -> Iterator[pd.DataFrame]:
    """Read the columns ``COLUMNS`` of a data set in the order of the file, a few thousand pairs at a time."""
    for table in iter_batches(path, SCHEMA):
        yield pd.DataFrame(table.to_pylist(), columns=COLUMNS)


def write_pairs(tables: Iterable[pa.Table], path: Path) -> None:
    """Write pairs as the Parquet file that the trainer reads."""
    with open_table(path, SCHEMA) as writer:
        for table in tables:
            writer.write(table)


def measure_data_set(path: Path, tokenizer: Any, max_length: int) -> Iterator[tuple[pd.DataFrame, int]]:
    """Read a data set, and yield :func:`check_lengths` of its pairs and how many :func:`fit_systems` changed.

    The texts of only two batches are in memory at a time: one is rendered while the tokens of the other are counted.
    """

    def rendered() -> Iterator[tuple[pd.DataFrame, int, list[Rendered]]]:
        for pairs in read_pairs(path):
            fitted, changed = fit_systems(pairs, tokenizer)
            yield fitted, changed, render(fitted, tokenizer)

    for fitted, changed, texts in read_ahead(rendered()):
        yield _measure(fitted, texts, tokenizer, max_length), changed


def select_pairs(path: Path, tokenizer: Any, chosen: np.ndarray) -> Iterator[pa.Table]:
    """Read some pairs of a data set (``chosen``: bool for each) as the trainer can render them: tables in `SCHEMA`."""
    start = 0
    for table in iter_batches(path, SCHEMA):
        own = table.filter(pa.array(chosen[start : start + len(table)]))
        start += len(table)
        if any(SYSTEM in _roles(own[side]) for side in SIDES):
            fitted, _ = fit_systems(pd.DataFrame(own.to_pylist(), columns=COLUMNS), tokenizer)
            own = pa.Table.from_pylist(fitted.to_dict("records"), SCHEMA)
        yield own


def _roles(conversations: pa.ChunkedArray) -> list[str]:
    """Return all roles of a column of conversations."""
    return pc.struct_field(pc.list_flatten(conversations), "role").unique().to_pylist()


def fit_systems(pairs: pd.DataFrame, tokenizer: Any) -> tuple[pd.DataFrame, int]:
    """Merge system messages into the first turn of the user if the tokenizer's template has no system role.

    Returns
    -------
    The pairs as the trainer can render them, and the number of pairs that were changed.
    """
    changed = pairs["chosen_messages"].map(lambda messages: messages[0]["role"] == SYSTEM).astype(bool)
    if not changed.any() or takes_system(tokenizer):
        return pairs, 0
    return pairs.assign(**{side: pairs[side].map(merge_system) for side in SIDES}), int(changed.sum())


def _require_template(tokenizer: Any) -> None:
    name = getattr(tokenizer, "name_or_path", "tokenizer")
    try:
        use_template(tokenizer, None, name)
    except TokenizerError as error:
        raise DataError(str(error)) from None
    if not tokenizer.eos_token:
        raise DataError(f"{name}: its tokenizer has no end-of-text token")


def render(pairs: pd.DataFrame, tokenizer: Any) -> list[Rendered]:
    """Render the prompt and both conversations of each pair, from :func:`fit_systems`, with the tokenizer's template.

    Raises
    ------
    DataError
        The two answers of a pair have different prompts, or a rendered conversation does not begin with its rendered
        prompt, so that OpenRLHF would split it in the wrong place.
    """
    _require_template(tokenizer)
    chosen, rejected = (pairs[side].tolist() for side in SIDES)
    uneven = [i for i, (a, b) in enumerate(zip(chosen, rejected, strict=True)) if a[:-1] != b[:-1]]
    if uneven:
        raise DataError(f"chosen and rejected have different prompts: item {_named(pairs, uneven)}")
    rendered = [render_fitted(tokenizer, *sides) for sides in zip(chosen, rejected, strict=True)]
    foreign = [i for i, pair in enumerate(rendered) if not is_trainable(pair)]
    if foreign:
        raise DataError(f"item {_named(pairs, foreign)}: {UNTRAINABLE}.")
    return rendered


def _closed(text: str, end: str) -> str:
    text = text.rstrip("\n")
    return text if text.endswith(end) else f"{text} {end}"


def name_pairs(pairs: Iterable[tuple[str, str]], count: int, most: int = 5) -> str:
    """Name the first of ``count`` pairs by item and language, and the number of the others."""
    names = ", ".join(f"{item} ({language})" for item, language in islice(pairs, most))
    return f"{names} and {count - most} more" if count > most else names


def _named(pairs: pd.DataFrame, positions: Sequence[int]) -> str:
    some = pairs.iloc[list(positions)]
    return name_pairs(zip(some["item_id"], some["language"], strict=True), len(positions))


def check_lengths(pairs: pd.DataFrame, tokenizer: Any, max_length: int) -> pd.DataFrame:
    """Count the tokens of every pair, and predict how OpenRLHF would handle it.

    Parameters
    ----------
    pairs : DataFrame
        Columns ``COLUMNS``; one row per pair.
    tokenizer : PreTrainedTokenizer
        Tokenizer of the model to be trained.
    max_length : int
        Maximum number of tokens of prompt and answer together.

    Returns
    -------
    DataFrame
        Same rows and order: ``item_id``, ``language``, ``prompt_tokens``, ``chosen_tokens``, ``rejected_tokens``
        (both include the prompt, as in the trainer) and ``fate``: ``equal`` if the two rendered answers are equal
        (ignoring invisible characters), ``empty`` if one of them is empty, ``dropped`` if the prompt leaves no room for
        an answer, ``cut`` if prompt and answer are longer than ``max_length``, otherwise ``kept``.
    """
    return _measure(pairs, render(pairs, tokenizer) if len(pairs) else [], tokenizer, max_length)


def _measure(pairs: pd.DataFrame, rendered: Sequence[Rendered], tokenizer: Any, max_length: int) -> pd.DataFrame:
    """Return :func:`check_lengths` of pairs that are already rendered."""
    names = ("prompt_tokens", "chosen_tokens", "rejected_tokens")
    counts = dict.fromkeys(names, ())
    faults: list[str] = []
    if len(pairs):
        end = tokenizer.eos_token
        texts = zip(*((prompt, _closed(one, end), _closed(two, end)) for prompt, one, two in rendered), strict=True)
        count = token_counter(tokenizer)
        counts = {name: count(list(side)) for name, side in zip(names, texts, strict=True)}
        faults = [fault_of(pair, end) for pair in rendered]
    lengths = (
        pairs[["item_id", "language"]].reset_index(drop=True).assign(**counts).astype(dict.fromkeys(names, "int32"))
    )
    dropped = lengths["prompt_tokens"] >= max_length - ROOM
    cut = lengths[["chosen_tokens", "rejected_tokens"]].max(axis=1) > max_length
    equal, empty = (np.array([fault == kind for fault in faults], dtype=bool) for kind in (EQUAL, EMPTY))
    fates = np.select([equal, empty, dropped, cut], ["equal", "empty", "dropped", "cut"], "kept")
    return lengths.assign(fate=pd.Series(fates, lengths.index, dtype=FATES))


def conversations(pairs: pd.DataFrame) -> list[list[list[list[str]]]]:
    """Return the conversations of the pairs as JSON values, in order: two lists of [role, content] per pair."""
    columns = (pairs[side] for side in SIDES)
    return [[[[m["role"], m["content"]] for m in side] for side in pair] for pair in zip(*columns, strict=True)]
