"""The identity of a training: a digest of its data, its base model and the settings that change the trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polypref.config.training import OPTIONAL
from polypref.files.digests import digest, identity
from polypref.training.attention import attention_used
from polypref.training.trainer_data import conversations, hold_out

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


def training_digest(pairs: pd.DataFrame, base: dict[str, Any], settings: Any) -> str:
    """Compute the digest of a training from the conversations in order, the base model and `outcome_settings`."""
    template = base.get("chat_template")
    name = identity(base["path"], base["revision"], Path(base["path"]).is_dir(), chat_template=template)
    held_out = held_out_pairs(pairs, settings)
    split = [] if held_out is None else [held_out.tolist()]
    return digest("training", name, outcome_settings(settings), conversations(pairs), *split)


def held_out_pairs(pairs: pd.DataFrame, settings: Any) -> np.ndarray | None:
    """Return which pairs are held out, or None if all are for training."""
    return hold_out(pairs["item_id"], settings.held_out, settings.held_out_seed) if settings.held_out else None
