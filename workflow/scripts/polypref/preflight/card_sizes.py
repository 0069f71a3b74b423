"""Tabulate which batches and trainings fit GPUs of common sizes, and what to change for those that do not.

The estimate is that of the preflight (:mod:`polypref.preflight.gpu_memory`), for as many GPUs of each size as the
configuration requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from polypref.config.searches import searched_decoders
from polypref.config.sections import Checkpoint
from polypref.plan.needs import gpu_batches
from polypref.plan.plan import Plan
from polypref.preflight.gpu_memory import GB, Content, Memory, batch_memory, context_of, training_memory
from polypref.preflight.gpus import FEW, read_config

Row = dict[str, Any]
SIZES = (16.0, 24.0, 48.0, 80.0)
"""GPU memory sizes in the table, in GB."""
SPLITS = (2, 4, 8)
"""Values of tensor_parallel to try; they divide the number of attention heads of most models."""
QUANTISED_BYTES = 0.7
"""Bytes per parameter of a 4-bit model, with scales and 16-bit layers (Qwen2.5-14B-Instruct-AWQ: 10 GB)."""
FITS, TIGHT = "fits", "tight"


def room(gpu: float, runtime: Any, splits: int) -> float:
    """Return the GB that an engine may use on this number of GPUs."""
    return gpu * splits * runtime.memory_fraction


def needed(need: Memory, splits: int, before: int) -> Memory:
    """Scale the memory of a batch to another number of GPUs, each with its own `RESERVE_GB`."""
    return need._replace(reserve=need.reserve / before * splits)


def advice(
    checkpoint: Checkpoint, need: Memory, gpu: float, tokens: int, context: int | None, searched: bool = False
) -> str:
    """Return ``fits``, ``tight``, or the first sufficient change for a batch on GPUs with ``gpu`` GB each.

    Parameters
    ----------
    need : memory of the batch as configured
    tokens : tokens of the longest prompt and answer
    context : context length for which cache is reserved; None if unknown
    searched : whether the checkpoint uses beam search, which needs the whole model on one GPU
    """
    runtime, before = checkpoint.runtime, max(1, checkpoint.runtime.tensor_parallel)
    if need.least <= room(gpu, runtime, before):
        spare = room(gpu, runtime, before) - need.weights - need.reserve
        full = checkpoint.engine == "vllm" and tokens and spare / need.token / tokens < FEW
        return TIGHT if full else FITS
    if checkpoint.engine != "vllm":
        return "larger GPU"
    spare = room(gpu, runtime, before) - need.weights - need.reserve
    # The context must be at least as long as the longest request; otherwise, truncated answers would be errors.
    shortest = _rounded(max(tokens, 1))
    if context and shortest < context and shortest * need.token <= spare:
        return f"max_model_len: {max(shortest, min(_rounded_down(spare / need.token), context)):,}"
    for splits in () if searched else SPLITS:
        if splits > before and needed(need, splits, before).least <= room(gpu, runtime, splits):
            parallel = f"tensor_parallel: {splits}"
            return f"{parallel}{_or_quantised(checkpoint, need, gpu, before)}"
    return _or_quantised(checkpoint, need, gpu, before).removeprefix(", or ") or "larger GPU"


def _or_quantised(checkpoint: Checkpoint, need: Memory, gpu: float, before: int) -> str:
    """Suggest a 4-bit checkpoint if the configured one is not quantised and the 4-bit one would fit."""
    if checkpoint.weights_gb or not checkpoint.parameters:
        return ""
    smaller = need._replace(weights=checkpoint.parameters * QUANTISED_BYTES / GB)
    return ", or 4-bit checkpoint" if smaller.least <= room(gpu, checkpoint.runtime, before) else ""


def _rounded(tokens: int) -> int:
    """Round up to a multiple of 1,024."""
    return -(-tokens // 1024) * 1024


def _rounded_down(tokens: float) -> int:
    return int(tokens // 1024) * 1024


def training_advice(plan: Plan, gpu: float) -> str:
    """Return ``fits`` or the first of a few changes with which the states of training fit."""
    changes: list[tuple[str, dict[str, Any]]] = [
        ("", {}),
        ("ref_offload", {"ref_offload": True}),
        ("adam_offload", {"adam_offload": True}),
        ("adam_offload and ref_offload", {"adam_offload": True, "ref_offload": True}),
        ("lora", {"lora": {"rank": 16}}),
        ("lora and ref_offload", {"lora": {"rank": 16}, "ref_offload": True}),
    ]
    for what, change in changes:
        training = type(plan.config.training).model_validate(plan.config.training.model_dump() | change)
        states = training_memory(Plan(plan.config.model_copy(update={"training": training}), plan.languages))
        if states is not None and states <= gpu:
            return what or FITS
    return "larger GPU or more of them"


def card_rows(
    plan: Plan,
    longest: Mapping[tuple[str, str], tuple[int, int]],
    read: Callable[[str, str | None], Content | None] = read_config,
) -> list[Row]:
    """Return one row per checkpoint on GPUs, and one for training: what, gpus, and an advice per size in `SIZES`.

    The row of a checkpoint is that of its batch with the longest requests.
    """
    rows: dict[str, Row] = {}
    searched = searched_decoders(plan.config)
    for (task, name), lengths in sorted(longest.items(), key=lambda item: (sum(item[1]), item[0])):
        if f"{task}/{name}" not in gpu_batches(plan):
            continue
        key = plan.batch_checkpoint(task, name)
        checkpoint = plan.config.checkpoints[key]
        content = read(checkpoint.path, checkpoint.revision)
        tokens, need = sum(lengths), batch_memory(plan, task, name, content, sum(lengths))
        if need is None:
            continue
        context = checkpoint.runtime.max_model_len or context_of(content)
        rows[key] = {"what": key, "gpus": max(1, checkpoint.runtime.tensor_parallel)} | {
            size: advice(checkpoint, need, size, tokens, context, key in searched) for size in SIZES
        }
    training = plan.config.training
    if training.runtime.launcher != "cpu" and training.runtime.gpus and training_memory(plan) is not None:
        row: Row = {"what": f"training {training.base}", "gpus": training.runtime.gpus * training.runtime.nodes}
        rows["training"] = row | {size: training_advice(plan, size) for size in SIZES}
    return sorted(rows.values(), key=lambda row: (row["what"].startswith("training "), row["what"]))


def card_table(plan: Plan, longest: Mapping[tuple[str, str], tuple[int, int]]) -> str:
    """Format the rows of :func:`card_rows` as text; empty if nothing runs on a GPU."""
    rows = card_rows(plan, longest)
    if not rows:
        return ""
    cells = [["on GPUs of", "GPUs", *(f"{size:g} GB" for size in SIZES)]]
    cells += [[row["what"], str(row["gpus"]), *(row[size] for size in SIZES)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "-" * len(max(lines, key=len)))
    return "\n".join(
        [
            *lines,
            "Where a model does not fit, the cell names the change to `runtime:` of the checkpoint or to `training:`. "
            "With tensor_parallel, set `gpus` to the same number. A 4-bit checkpoint is another repository (AWQ or "
            "GPTQ) as `path` with its `weights_gb`, and its completions differ. tight: cache for fewer than "
            f"{FEW} of the longest requests at once. Activations of training are not counted. Until a checkpoint's "
            "config.json has been fetched (`snakemake fetch`), its cache is an upper bound.",
        ]
    )
