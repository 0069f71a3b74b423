"""Write a data set as other tools load it: as texts and as conversations, each with splits by item.

The conversations are TRL's conversational preference format with an explicit prompt: ``prompt``, ``chosen`` and
``rejected`` are lists of messages, the latter two without the prompt's. ``DPOTrainer`` applies the model's chat
template to them, which it does not for texts.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from polypref.files.digests import fraction
from polypref.files.schemas import DATASET, MESSAGES
from polypref.files.tables import atomic_write, iter_rows, write_table

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


def conversation(row: dict[str, Any]) -> dict[str, Any]:
    """Convert a row in DATASET to one in CONVERSATIONS."""
    prompt = row["prompt_messages"]
    return {
        "item_id": row["item_id"],
        "language": row["language"],
        "source": row["source"],
        "prompt": prompt,
        "chosen": row["chosen_messages"][len(prompt) :],
        "rejected": row["rejected_messages"][len(prompt) :],
    }


def write_exports(dataset: str | Path, folder: Path, share: float) -> dict[str, int]:
    """Write all files of a data set into a folder; return the number of rows of each split.

    Without a test split, the file of texts is a copy of the data set.
    """
    counts = {}
    wanted = {folder / file_of(config, split) for config in (TEXTS, CHATS) for split in splits(share)}
    for old in set(folder.rglob("*.parquet")) - wanted:  # of an earlier run with a test split
        old.unlink()
    for split in splits(share):
        if share:
            counts[split] = write_table(folder / file_of(TEXTS, split), _rows(dataset, split, share), DATASET)
        else:
            with open(dataset, "rb") as source, atomic_write(folder / file_of(TEXTS, split)) as file:
                shutil.copyfileobj(source, file)
        chats = map(conversation, _rows(dataset, split, share))
        counts[split] = write_table(folder / file_of(CHATS, split), chats, CONVERSATIONS)
    return counts


def _rows(dataset: str | Path, split: str, share: float) -> Iterator[dict[str, Any]]:
    return (row for row in iter_rows(dataset, DATASET) if split_of(row["item_id"], share) == split)


def data_files(share: float) -> list[dict[str, Any]]:
    """Return the section ``configs`` of the card's header."""
    return [
        {
            "config_name": config,
            "data_files": [{"split": split, "path": file_of(config, split)} for split in splits(share)],
        }
        for config in (TEXTS, CHATS)
    ]
