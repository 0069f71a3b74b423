"""Write a data set as other tools load it: as texts and as conversations, each with splits by item.

The conversations are TRL's conversational preference format with an explicit prompt: ``prompt``, ``chosen`` and
``rejected`` are lists of messages, the latter two without the prompt's. ``DPOTrainer`` applies the model's chat
template to them, which it does not for texts.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from polypref.files.columns import integers
from polypref.files.digests import fraction
from polypref.files.schemas import DATASET, MESSAGES
from polypref.files.table_writer import open_table
from polypref.files.tables import atomic_write, iter_batches, read_ahead

TEXTS, CHATS = "default", "conversations"
"""Names of the two configurations."""
TRAIN, TEST = "train", "test"
CONVERSATIONS = pa.schema(
    [
        ("item_id", pa.string()), ("language", pa.string()), ("source", pa.string()),
        ("prompt", MESSAGES), ("chosen", MESSAGES), ("rejected", MESSAGES),
    ]
)  # fmt: skip


def split_of(item_id: str, share: float) -> str:
    """Return the split of an item: the same in every language and architecture, and in every larger test split."""
    return TEST if fraction("split", item_id) < share else TRAIN


def splits(share: float) -> list[str]:
    """Return the names of the splits; ``share``: share of the items in the test split."""
    return [TRAIN, TEST] if share else [TRAIN]


def file_of(config: str, split: str) -> str:
    """Return the path of a file in the folder of the data set."""
    return f"{split}.parquet" if config == TEXTS else f"{config}/{split}.parquet"


def conversations(table: pa.Table) -> pa.Table:
    """Convert a table in DATASET to one in CONVERSATIONS; the answers are the messages after those of the prompt."""
    made = {name: table[name] for name in ("item_id", "language", "source")}
    prompt = table["prompt_messages"].combine_chunks()
    starts = np.diff(_numbers(prompt.offsets))
    made["prompt"] = prompt
    for name in ("chosen", "rejected"):
        made[name] = _after(table[f"{name}_messages"].combine_chunks(), starts)
    return pa.table([made[name] for name in CONVERSATIONS.names], schema=CONVERSATIONS)


def _after(messages: pa.ListArray, starts: np.ndarray) -> pa.ListArray:
    """Return each list of messages from a position on."""
    offsets = _numbers(messages.offsets)
    lengths = np.maximum(np.diff(offsets) - starts, 0)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    taken = np.arange(ends[-1]) + np.repeat(offsets[1:] - ends[1:], lengths)
    values = messages.values.take(integers(taken))
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), values, type=MESSAGES)


def _numbers(offsets: pa.Array) -> np.ndarray:
    return np.array(offsets.to_numpy(zero_copy_only=False), np.int64)


def write_exports(dataset: str | Path, folder: Path, share: float) -> dict[str, int]:
    """Write all files of a data set into a folder; return the number of rows of each split.

    Without a test split, the file of texts is a copy of the data set.
    """
    counts = {}
    wanted = {folder / file_of(config, split) for config in (TEXTS, CHATS) for split in splits(share)}
    for old in set(folder.rglob("*.parquet")) - wanted:  # of an earlier run with a test split
        old.unlink()
    for split in splits(share):
        texts = folder / file_of(TEXTS, split)
        with contextlib.ExitStack() as files:
            chats = files.enter_context(open_table(folder / file_of(CHATS, split), CONVERSATIONS))
            own = files.enter_context(open_table(texts, DATASET)) if share else None
            for table in read_ahead(_rows(dataset, split, share)):
                chats.write(conversations(table))
                if own:
                    own.write(table)
        counts[split] = chats.rows
        if not share:
            with open(dataset, "rb") as source, atomic_write(texts) as file:
                shutil.copyfileobj(source, file)
    return counts


def _rows(dataset: str | Path, split: str, share: float) -> Iterator[pa.Table]:
    for table in iter_batches(dataset, DATASET):
        if share:
            kept = [split_of(item, share) == split for item in table["item_id"].to_pylist()]
            table = table.filter(pa.array(kept, pa.bool_()))
        yield table


def data_files(share: float) -> list[dict[str, Any]]:
    """Return the section ``configs`` of the card's header."""
    return [
        {
            "config_name": config,
            "data_files": [{"split": split, "path": file_of(config, split)} for split in splits(share)],
        }
        for config in (TEXTS, CHATS)
    ]
