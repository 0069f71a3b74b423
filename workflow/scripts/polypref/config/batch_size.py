"""How a batch of training is split over processes and micro-batches.

``settings`` is the configuration's ``training`` section.
"""

from __future__ import annotations

from typing import Any


def world_size(settings: Any) -> int:
    """Processes that train together: GPUs of all nodes, or one CPU process."""
    runtime = settings.runtime
    return 1 if runtime.launcher == "cpu" else runtime.gpus * runtime.nodes


def micro_steps(settings: Any) -> int:
    """Micro-batches per optimiser step and process.

    Raises
    ------
    ValueError
        When the batch can't be split evenly.
    """
    together = settings.micro_batch_size * world_size(settings)
    if not together or settings.batch_size % together:
        raise ValueError(
            f"training.batch_size {settings.batch_size} can't be split evenly: it must be a multiple of "
            f"micro_batch_size {settings.micro_batch_size} x {world_size(settings)} processes"
        )
    return settings.batch_size // together
