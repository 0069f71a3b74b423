"""Checks that beam search supports the decoders that are used with it, by their ``config.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from polypref.config.faults import fault
from polypref.config.registry import Model
from polypref.config.sections import Config, Evaluation
from polypref.config.uses import checkpoints_of

MORE_THAN_KEYS = {
    "axk2", "bamba", "blt", "deepseek_v32", "deepseek_v4", "falcon_h1", "falcon_mamba", "gemma4_assistant",
    "gemma4_unified_assistant", "glm_moe_dsa", "granitemoehybrid", "inkling_text", "jamba", "lfm2", "lfm2_moe",
    "mamba", "mamba2", "minimax", "nemotron_h", "olmo_hybrid", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text",
    "qwen3_5_text", "qwen3_next", "recurrent_gemma", "rwkv", "xlstm", "zamba", "zamba2", "zaya",
}  # fmt: skip
"""Model types whose cache has more than keys and values, such as a recurrent state, which beam search can't reorder."""
LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers (``layer_types`` in config.json) that have only keys and values."""


def read_config(folder: Path, path: str, revision: str | None) -> dict[str, Any] | None:
    """Read a checkpoint's ``config.json`` from its folder or the Hub's cache; None if it is in neither."""
    file = folder / "config.json"
    if not file.is_file():
        from huggingface_hub import constants  # the package's functions would take a second to import

        cached = Path(constants.HF_HUB_CACHE) / f"models--{path.replace('/', '--')}"
        name = cached / "refs" / (revision or "main")
        commit = name.read_text(encoding="utf-8").strip() if name.is_file() else revision
        file = cached / "snapshots" / (commit or "none") / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def searched_decoders(config: Config) -> dict[str, str]:
    """Return the decoders that are used with beam search, each with the first section that requests it."""
    uses = [(f"models.{name}", checkpoints_of(model)) for name, model in config.models.items() if _beams(model)]
    if _beams(config.evaluation):
        uses.append(("evaluation", [config.training.base, *config.evaluation.opponents]))
    found: dict[str, str] = {}
    for user, names in uses:
        for name in names:
            if name in config.checkpoints and config.checkpoints[name].engine == "vllm":
                found.setdefault(name, user)
    return found


def check_searches(config: Config, find: Callable[[str], Path]) -> Iterator[str]:
    """Check that the model of every beam search is on one GPU and of a type that can be searched.

    ``find`` resolves the path of a checkpoint. Types are checked if ``config.json`` is on this machine.
    """
    for name, user in searched_decoders(config).items():
        checkpoint = config.checkpoints[name]
        remedy = f"{user} uses beam search (decoding.beam_size)"
        if checkpoint.runtime.tensor_parallel > 1:
            allowed = f"1: {remedy}, which needs the whole model on one GPU; `shards` divide a batch among several GPUs"
            yield fault(f"checkpoints.{name}.runtime.tensor_parallel", checkpoint.runtime.tensor_parallel, allowed)
        content = read_config(find(checkpoint.path), checkpoint.path, checkpoint.revision) or {}
        kind = content.get("model_type")
        if content.get("is_encoder_decoder"):
            yield fault(f"checkpoints.{name}.engine", "vllm", f"seq2seq for {kind!r}, an encoder-decoder")
        elif has_more_than_keys(content):
            allowed = (
                f"a model with a key-value cache, not {kind!r}: {remedy}. Leave beam_size out, or use another model"
            )
            yield fault(f"checkpoints.{name}.path", checkpoint.path, allowed)


def has_more_than_keys(content: Mapping[str, Any]) -> bool:
    """Return whether a model's cache has more than keys and values, according to its type and its kinds of layers."""
    text = content.get("text_config") or {}
    kinds = {content.get("model_type"), text.get("model_type")}
    layers = set(text.get("layer_types") or content.get("layer_types") or ())
    return bool(kinds & MORE_THAN_KEYS) or not layers <= LAYERS


def _beams(section: Model | Evaluation) -> bool:
    return (section.decoding.beam_size or 1) > 1
