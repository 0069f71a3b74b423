"""What each model takes on a cluster: GPUs and their memory, main memory and time, from parameter counts."""

from __future__ import annotations

from typing import Any

from polypref.needs import used_checkpoints, weight_bytes
from polypref.plan import Plan

Row = dict[str, Any]
SPARE = 1.2
"""Memory for the key-value cache and activations, per byte of weights: what vLLM needs to start and to batch at all."""
WEIGHTS, GRADIENTS, OPTIMISER = 2, 2, 12
"""Bytes per parameter in mixed-precision training with Adam: 16-bit weights and gradients, 32-bit weights and moments
(Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models, section 3.1)."""


def batch_sizes(plan: Plan) -> list[Row]:
    """What an engine takes, per checkpoint that runs on GPUs.

    parameters, weights_gb, gpus, gpu_gb (the least memory of each), memory_gb and hours (as the registry has them).
    """
    rows = []
    names = {plan.batch_checkpoint(task, name) for task, name in plan.batches()}
    for name, checkpoint in used_checkpoints(plan).items():
        runtime, size = checkpoint.runtime, weight_bytes(checkpoint)
        if name not in names or not runtime.gpus or not size:
            continue
        split = max(1, runtime.tensor_parallel)
        rows.append(
            {
                "what": name,
                "parameters": checkpoint.parameters,
                "weights_gb": size / 1e9,
                "gpus": runtime.gpus,
                "gpu_gb": SPARE * size / split / 1e9,
                "memory_gb": runtime.of_node("memory_gb"),
                "hours": runtime.hours,
            }
        )
    return rows


def training_size(plan: Plan) -> Row | None:
    """The same for a training; None without a parameter count or a GPU. Activations are not counted.

    ZeRO shares out over the processes: from stage 1 the optimiser's states, from 2 the gradients, from 3 the weights.
    """
    training = plan.config.training
    runtime, parameters = training.runtime, plan.config.checkpoints[training.base].parameters
    if not parameters or not runtime.gpus or runtime.launcher == "cpu":
        return None
    processes = runtime.gpus * runtime.nodes

    def share(stage: int) -> int:
        return processes if training.zero_stage >= stage else 1

    trained = 0 if training.lora else 1
    optimiser = trained * OPTIMISER / share(1)
    on_gpu = WEIGHTS / share(3) + trained * GRADIENTS / share(2)
    on_gpu += 0 if training.adam_offload else optimiser
    on_gpu += 0 if training.ref_offload else WEIGHTS / share(3)
    in_memory = (optimiser if training.adam_offload else 0) + (WEIGHTS / share(3) if training.ref_offload else 0)
    return {
        "what": f"training {training.base}",
        "parameters": parameters,
        "weights_gb": parameters * WEIGHTS / 1e9,
        "gpus": processes,
        "gpu_gb": parameters * on_gpu / 1e9,
        "memory_gb": runtime.memory_gb,
        "offloaded_gb": parameters * in_memory * runtime.gpus / 1e9,
        "hours": runtime.hours,
    }


def table(plan: Plan) -> str:
    """Both as text; empty where nothing runs on a GPU."""
    training = training_size(plan)
    rows = batch_sizes(plan) + ([training] if training else [])
    if not rows:
        return ""
    head = f"{'model':<26}{'parameters':>12}{'weights':>10}{'GPUs':>6}{'each, at least':>16}{'memory':>9}{'limit':>8}"
    lines = [head, "-" * len(head)]
    for row in rows:
        lines.append(
            f"{row['what']:<26}{row['parameters'] / 1e9:>11.1f}B{row['weights_gb']:>7.0f} GB{row['gpus']:>6}"
            f"{row['gpu_gb']:>13.0f} GB{row['memory_gb']:>6.0f} GB{row['hours']:>6g} h"
        )
    if training and training["offloaded_gb"]:
        lines.append(
            f"Training holds {training['offloaded_gb']:,.0f} GB of that on each node, which is offloaded there."
        )
    lines.append(
        f"GPU memory: weights and {SPARE - 1:.0%} more for an engine; states without activations for training. Memory "
        "and limit are what a job asks for (`runtime:`); its retries ask for twice and three times as much."
    )
    return "\n".join(lines)
