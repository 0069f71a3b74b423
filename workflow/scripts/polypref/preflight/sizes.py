"""Tabulate what each model needs on a cluster, from parameter counts: GPUs, GPU memory, main memory and time."""

from __future__ import annotations

from typing import Any

from polypref.plan.needs import conversion_memory, gpu_batches, weight_bytes
from polypref.plan.plan import Plan
from polypref.preflight.gpu_memory import COPIES, GB, batch_memory, training_memory

Row = dict[str, Any]


def batch_sizes(plan: Plan, longest: dict[tuple[str, str], tuple[int, int]]) -> list[Row]:
    """Return the resources of each checkpoint that runs on GPUs.

    Parameters
    ----------
    longest : tokens of the longest prompt and answer of each batch

    Returns
    -------
    Rows with what, parameters, weights_gb, gpus, gpu_gb (minimum memory of each GPU), and memory_gb and hours from the
    registry.
    """
    rows: dict[str, Row] = {}
    for (task, name), tokens in sorted(longest.items()):
        if f"{task}/{name}" not in gpu_batches(plan):
            continue
        key = plan.batch_checkpoint(task, name)
        checkpoint, need = plan.config.checkpoints[key], batch_memory(plan, task, name, None, sum(tokens))
        if need is None:
            continue
        runtime, before = checkpoint.runtime, rows.get(key, {"gpu_gb": 0})
        rows[key] = {
            "what": key,
            "parameters": checkpoint.parameters,
            "weights_gb": need.weights,
            "gpus": runtime.gpus,
            "gpu_gb": max(before["gpu_gb"], need.least / max(1, runtime.tensor_parallel)),
            "memory_gb": runtime.of_node("memory_gb"),
            "hours": runtime.hours,
        }
    return list(rows.values())


def training_size(plan: Plan) -> Row | None:
    """Return the resources of one training, with offloaded_gb of main memory; None without parameter count or GPU."""
    training = plan.config.training
    runtime, base, each = training.runtime, plan.config.checkpoints[training.base], training_memory(plan)
    if each is None or not runtime.gpus or runtime.launcher == "cpu":
        return None
    adam = COPIES["adam"] if training.adam_offload and not training.lora else 0
    reference = COPIES["reference"] if training.ref_offload else 0
    return {
        "what": f"training {training.base}",
        "parameters": base.parameters,
        "weights_gb": (weight_bytes(base) or 0) / GB,
        "gpus": runtime.gpus * runtime.nodes,
        "gpu_gb": each,
        "memory_gb": runtime.memory_gb,
        "offloaded_gb": base.parameters * (adam + reference) / runtime.nodes / GB,
        "hours": runtime.hours,
    }


def table(plan: Plan, longest: dict[tuple[str, str], tuple[int, int]]) -> str:
    """Format the resources of batches and training as text; empty if nothing runs on a GPU."""
    training = training_size(plan)
    rows = batch_sizes(plan, longest) + ([training] if training else [])
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
            f"Of this memory, training uses {training['offloaded_gb']:,.0f} GB on each node for offloaded states."
        )
    lines += [
        f"Converting {name} for CTranslate2, once, needs up to {size / GB:,.0f} GB of main memory."
        for name, size in conversion_memory(plan).items()
    ]
    lines.append(
        "Each, at least: the memory of a GPU for the weights, the cache of a request of maximum length, and a reserve; "
        "for training, the weights, gradients and optimiser states without activations. A job requests this memory "
        "and time limit (`runtime:`), and its retries request twice and three times as much."
    )
    return "\n".join(lines)
