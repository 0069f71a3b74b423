"""Choosing the attention kernels for training: flash-attn if it is installed, otherwise torch's own."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def has_flash_attn() -> bool:
    """Return whether flash-attn is installed; this process does not have the launcher's substitute modules."""
    return find_spec("flash_attn") is not None


def attention_used(settings: Any) -> str:
    """Return the ``attn_implementation`` for the trainer.

    ``auto`` means ``flash_attention_2`` on GPUs if flash-attn is installed, and ``sdpa`` otherwise. The kernels round
    differently, so the trained weights differ; therefore the returned name is part of a training's digest.
    """
    if settings.attn_implementation != "auto":
        return settings.attn_implementation
    return "flash_attention_2" if settings.runtime.launcher != "cpu" and has_flash_attn() else "sdpa"
