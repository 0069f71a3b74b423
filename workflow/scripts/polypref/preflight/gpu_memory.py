"""GPU memory that a batch and the training need, estimated beforehand: weights, key-value cache, what comes on top.

What is not in it: activations of training beyond `RESERVE_GB`, and fragmentation. So what does not fit here will not
start, and what just fits may still not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from polypref.plan.needs import weight_bytes
from polypref.plan.plan import Plan

GB = 1e9
RESERVE_GB = 3.0
"""Per GPU, beside weights and cache: CUDA's context, activations of a step, CUDA graphs, communication buffers."""
CACHE_BYTES = 2
"""Of one number in the key-value cache (16 bits)."""
ASPECT = 128
"""Width of a decoder per layer, by which the two are guessed from the parameters (Llama-2: 128 at 7B and 13B)."""
COPIES = {"weights": 2, "gradients": 2, "reference": 2, "adam": 12}
"""Bytes per parameter in training: 16-bit weights, gradients and reference model; 32-bit copy and moments of AdamW."""

Content = Mapping[str, Any]


class Memory(NamedTuple):
    """GB over all GPUs of a batch: weights, cache of one request of full length, cache of a token, and the rest."""

    weights: float
    longest: float
    token: float
    reserve: float

    @property
    def least(self) -> float:
        """GB below which the engine does not start."""
        return self.weights + self.longest + self.reserve


def cache_bytes(content: Content | None, parameters: float | None) -> float | None:
    """Bytes of the key-value cache per token.

    Parameters
    ----------
    content : the checkpoint's ``config.json``, or None. Without it, an upper bound: a plain decoder of that many
        parameters, 12 layers width^2, in which each query head has a key-value head of its own.
    parameters : of the checkpoint; with neither, None is returned.
    """
    if content:
        content = content.get("text_config") or content
        heads = content.get("num_attention_heads") or content.get("decoder_attention_heads")
        width = content.get("hidden_size") or content.get("d_model")
        layers = content.get("num_hidden_layers") or content.get("decoder_layers")
        if heads and width and layers:
            size = content.get("head_dim") or width / heads
            return 2.0 * layers * (content.get("num_key_value_heads") or heads) * size * CACHE_BYTES
    if not parameters:
        return None
    width = (parameters * ASPECT / 12) ** (1 / 3)
    return 2.0 * (width / ASPECT) * width * CACHE_BYTES


def context_of(content: Content | None) -> int | None:
    """Context length in tokens by a checkpoint's ``config.json``."""
    return (content.get("text_config") or content).get("max_position_embeddings") if content else None


def batch_memory(plan: Plan, task: str, name: str, content: Content | None, longest: int) -> Memory | None:
    """What a batch needs, or None where the registry does not say how large its model is.

    Parameters
    ----------
    content : the checkpoint's ``config.json`` where it is at hand
    longest : tokens of the longest prompt and answer. vLLM wants room for one request of the whole context, which is
        ``runtime.max_model_len`` or the model's own; only where neither is known the longest request stands for it.
    """
    checkpoint = plan.config.checkpoints[plan.batch_checkpoint(task, name)]
    weights, token = weight_bytes(checkpoint), cache_bytes(content, checkpoint.parameters)
    if not weights or not token:
        return None
    tokens = longest
    if checkpoint.engine == "vllm":
        tokens = checkpoint.runtime.max_model_len or context_of(content) or longest
    gpus = max(1, checkpoint.runtime.tensor_parallel)
    return Memory(weights / GB, tokens * token / GB, token / GB, RESERVE_GB * gpus)


def training_memory(plan: Plan) -> float | None:
    """GB per GPU that the states of training take: weights, gradients, AdamW, reference model, and `RESERVE_GB`.

    ZeRO stage 1 divides AdamW's states among the GPUs, 2 the gradients too, 3 the weights too (Rajbhandari et al.,
    2020). An adapter's gradients and states are small and left out.
    """
    training = plan.config.training
    parameters = plan.config.checkpoints[training.base].parameters
    if not parameters:
        return None
    gpus = max(1, training.runtime.gpus * training.runtime.nodes)
    stages = {"adam": 1, "gradients": 2, "weights": 3, "reference": 3}
    shares = {part: 1 / gpus if training.zero_stage >= stage else 1.0 for part, stage in stages.items()}
    if training.lora:
        shares["adam"] = shares["gradients"] = 0.0
    if training.adam_offload:
        shares["adam"] = 0.0
    if training.ref_offload:
        shares["reference"] = 0.0
    return parameters * sum(COPIES[part] * share for part, share in shares.items()) / GB + RESERVE_GB
