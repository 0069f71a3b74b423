"""Splitting a training batch over processes and micro-batches.

``settings`` is the ``training`` section of the configuration.
"""

from __future__ import annotations

from typing import Any


def world_size(settings: Any) -> int:
    """Number of training processes: one per GPU on all nodes, or a single CPU process."""
    runtime = settings.runtime
    return 1 if runtime.launcher == "cpu" else runtime.gpus * runtime.nodes


def micro_steps(settings: Any) -> int:
    """Micro-batches per optimiser step and process.

    Raises
    ------
    ValueError
        If the batch cannot be split evenly.
    """
    per_step = settings.micro_batch_size * world_size(settings)
    if not per_step or settings.batch_size % per_step:
        raise ValueError(
            f"training.batch_size {settings.batch_size} cannot be split evenly: it must be a multiple of "
            f"micro_batch_size {settings.micro_batch_size} x {world_size(settings)} processes"
        )
    return settings.batch_size // per_step
