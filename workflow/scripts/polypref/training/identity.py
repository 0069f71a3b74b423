"""The identity of a training: a digest of its data, its base model and the settings that change the trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polypref.config.training import OPTIONAL
from polypref.files.digests import digest_of_text, identity
from polypref.files.tables import canonical_json
from polypref.training.attention import attention_used
from polypref.training.selection import hold_out
from polypref.training.trainer_data import conversations

OUTCOME = (
    "learning_rate", "lr_scheduler", "warmup_ratio", "max_norm", "beta", "batch_size", "epochs", "max_length", "seed",
    "param_dtype", "overlong",
)  # fmt: skip
"""Settings that change the trained model; all others only affect memory usage and the distribution over machines."""

LORA = ("rank", "alpha", "dropout", "target_modules")


def outcome_settings(settings: Any) -> dict[str, Any]:
    """Return the settings that change the trained model, as JSON values."""
    lora = None if settings.lora is None else {name: getattr(settings.lora, name) for name in LORA}
    given = settings.recipe()
    named = {name: getattr(settings, name) for name in OUTCOME}
    named |= {name: given[name] for name in (*OPTIONAL, "held_out_seed") if name in given}
    return named | {"lora": lora, "attn_implementation": attention_used(settings)}


def training_digest(batches: Iterable[pd.DataFrame], base: dict[str, Any], settings: Any) -> str:
    """Compute the digest of a training from the conversations in order, the base model and `outcome_settings`.

    It is :func:`polypref.files.digests.digest` of these values; ``batches`` of pairs are encoded one at a time.
    """
    template = base.get("chat_template")
    name = identity(base["path"], base["revision"], Path(base["path"]).is_dir(), chat_template=template)
    held_out: list[np.ndarray] = []

    def texts() -> Iterator[str]:
        yield canonical_json(["training", name, outcome_settings(settings)])[:-1] + ",["
        comma = ""
        for pairs in filter(len, batches):
            yield comma + canonical_json(conversations(pairs))[1:-1]
            comma = ","
            if settings.held_out:
                held_out.append(held_out_pairs(pairs["item_id"], settings))
        yield "]"
        for number, some in enumerate(held_out):
            yield ("," if number else ",[") + canonical_json(some.tolist())[1:-1]
        yield "]]" if held_out else ",[]]" if settings.held_out else "]"

    return digest_of_text(texts())


def held_out_pairs(items: Sequence[str], settings: Any) -> np.ndarray | None:
    """Return which pairs are held out by their ``item_id``, or None if all are for training."""
    return hold_out(items, settings.held_out, settings.held_out_seed) if settings.held_out else None
