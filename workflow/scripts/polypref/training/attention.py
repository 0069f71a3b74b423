"""Which attention kernels a training uses: flash-attn's where that package is installed, else those of torch."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def has_flash_attn() -> bool:
    """Whether flash-attn is installed; the stand-in modules of the launcher are not registered in this process."""
    return find_spec("flash_attn") is not None


def attention_used(settings: Any) -> str:
    """The ``attn_implementation`` that the trainer is started with.

    ``auto`` is ``flash_attention_2`` on GPUs where flash-attn is installed, and ``sdpa`` everywhere else. The kernels
    round differently, so the trained weights differ; the name returned here is part of a training's identity.
    """
    if settings.attn_implementation != "auto":
        return settings.attn_implementation
    return "flash_attention_2" if settings.runtime.launcher != "cpu" and has_flash_attn() else "sdpa"
