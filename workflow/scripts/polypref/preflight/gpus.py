"""Compare the number and memory of GPUs with the requirements of each batch and of training."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping

from polypref.config import searches
from polypref.config.data import find_file
from polypref.plan.needs import gpu_batches
from polypref.plan.plan import Plan
from polypref.preflight.findings import Finding
from polypref.preflight.gpu_memory import GB, Content, batch_memory, training_memory


def read_gpus() -> list[float] | None:
    """Return the memory of this machine's GPUs in GB; None if nvidia-smi is missing or fails."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        return [float(line) * 2**20 / GB for line in shown.split("\n") if line.strip()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def read_config(path: str, revision: str | None) -> Content | None:
    """Read a checkpoint's ``config.json`` from a folder or the Hub's cache; None if it is not there."""
    return searches.read_config(find_file(path), path, revision)


def check_gpus(
    plan: Plan,
    gpus: list[float] | None,
    here: bool,
    longest: Mapping[tuple[str, str], tuple[int, int]],
    read: Callable[[str, str | None], Content | None] = read_config,
) -> Iterator[Finding]:
    """Check that there are enough GPUs, with enough memory, for each batch and for training.

    Parameters
    ----------
    gpus : memory in GB of each GPU of this machine. If the jobs run on other machines (not ``here``), the GPUs that
        ``runtime`` in the configuration describes are checked instead.
    """
    runtime, nodes = plan.config.training.runtime, plan.config.runtime
    wanted = {"training": runtime.gpus} if runtime.launcher != "cpu" and runtime.gpus else {}
    wanted |= gpu_batches(plan)
    if not wanted:
        return
    if not here:
        if not nodes.gpu_memory_gb:
            yield Finding(
                "unchecked",
                "GPUs: jobs run on other machines; to check memory, describe their GPUs in the configuration as "
                "`runtime: {gpus: ..., gpu_memory_gb: ...}`",
            )
            return
        gpus = [nodes.gpu_memory_gb] * (nodes.gpus or max(wanted.values()))
    if not gpus:
        yield Finding("error", f"no GPU is visible here (nvidia-smi), and {len(wanted)} jobs request one")
        return
    where = "here" if here else "on a node (runtime.gpus)"
    few = [f"{what} requests {count}" for what, count in wanted.items() if count > len(gpus)]
    if few:
        yield Finding("error", f"too few GPUs: {len(gpus)} {where}, but {', '.join(few)} (runtime.gpus)")
    small, slow, unknown = _check_memory(plan, min(gpus), longest, read)
    if small:
        yield Finding("error", f"GPU memory of {min(gpus):.0f} GB: {'; '.join(small)}")
    if slow:
        hint = " (exact when their config.json has been fetched)" if any("up to" in what for what in slow) else ""
        yield Finding("warning", f"GPU memory of {min(gpus):.0f} GB is tight{hint}: {'; '.join(slow)}")
    if unknown:
        yield Finding("unchecked", f"GPU memory: the registry has no `parameters` for {', '.join(unknown)}")
    if not few and not small:
        source = "" if here else " (according to the configuration)"
        room = "sufficient according to the estimate"
        yield Finding("ok", f"{len(gpus)} GPUs of {min(gpus):.0f} GB{source}, {room}")


FEW = 8
"""If fewer of the longest requests fit into the key-value cache at once, batching has little effect."""


def _check_memory(
    plan: Plan,
    gpu: float,
    longest: Mapping[tuple[str, str], tuple[int, int]],
    read: Callable[[str, str | None], Content | None],
) -> tuple[list[str], list[str], list[str]]:
    """List the batches and trainings that do not fit GPUs with ``gpu`` GB, fit barely, or have no known size."""
    small, slow, unknown = [], [], []
    for task, name in plan.batches():
        runtime, label = plan.batch_runtime(task, name), f"{task}/{name}"
        if label not in gpu_batches(plan):
            continue
        checkpoint = plan.config.checkpoints[plan.batch_checkpoint(task, name)]
        tokens = sum(longest.get((task, name), (0, 0)))
        content = read(checkpoint.path, checkpoint.revision)
        need = batch_memory(plan, task, name, content, tokens)
        if need is None:
            unknown.append(label)
            continue
        room = gpu * max(1, runtime.tensor_parallel) * runtime.memory_fraction
        at_once = (room - need.weights - need.reserve) / need.token / max(tokens, 1)
        bound = "" if content else "up to "  # without config.json the size of the cache is an upper bound
        if need.least > room:
            certain = content or need.weights + need.reserve > room
            (small if certain else slow).append(
                f"{label} needs {bound}{need.least:.0f} GB (weights {need.weights:.0f}, cache of a request of maximum "
                f"length {bound}{need.longest:.0f}), but may use {room:.0f} (runtime: tensor_parallel, max_model_len)"
            )
        elif checkpoint.engine == "vllm" and tokens and at_once < FEW:
            slow.append(
                f"{label} has cache for {'' if content else 'at least '}{at_once:.0f} of its longest requests at a time"
            )
    states = training_memory(plan) if plan.config.training.runtime.launcher != "cpu" else None
    if states and states > gpu:
        small.append(
            f"training needs {states:.0f} GB for weights, gradients and optimiser states alone (training.runtime.gpus, "
            "zero_stage, adam_offload, ref_offload, lora)"
        )
    return small, slow, unknown
