"""Estimate the GPU memory of batches and of training: weights, key-value cache and a reserve.

The estimate leaves out fragmentation, and the activations of training beyond `RESERVE_GB`. So a job that does not fit
according to the estimate will not start, and one that barely fits may still fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from polypref.plan.needs import weight_bytes
from polypref.plan.plan import Plan

GB = 1e9
RESERVE_GB = 3.0
"""Per GPU, in addition to weights and cache: CUDA context, activations, CUDA graphs, communication buffers."""
CACHE_BYTES = 2
"""Bytes per number in the key-value cache (16 bits)."""
ASPECT = 128
"""Assumed ratio of width to layers, to derive both from the parameter count (128 for Llama-2 7B and 13B)."""
COPIES = {"weights": 2, "gradients": 2, "reference": 2, "adam": 12}
"""Bytes per parameter in training: 16-bit weights, gradients and reference model; 32-bit copy and moments of AdamW."""

Content = Mapping[str, Any]


class Memory(NamedTuple):
    """GB over all GPUs of a batch: weights, cache of one full-length request, cache of one token, and reserve."""

    weights: float
    longest: float
    token: float
    reserve: float

    @property
    def least(self) -> float:
        """Minimum GB with which the engine starts."""
        return self.weights + self.longest + self.reserve


def cache_bytes(content: Content | None, parameters: float | None) -> float | None:
    """Return the bytes of the key-value cache per token.

    Parameters
    ----------
    content : the checkpoint's ``config.json``, or None. Without it, the result is an upper bound, for a plain decoder
        with 12 * layers * width^2 parameters and as many key-value heads as query heads.
    parameters : parameter count of the checkpoint. The result is None if this is needed but not given.
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
    """Return the context length in tokens that a checkpoint's ``config.json`` specifies."""
    return (content.get("text_config") or content).get("max_position_embeddings") if content else None


def batch_memory(plan: Plan, task: str, name: str, content: Content | None, longest: int) -> Memory | None:
    """Estimate the memory of a batch; None if the registry has no size for its checkpoint.

    Parameters
    ----------
    content : the checkpoint's ``config.json``, or None
    longest : tokens of the longest prompt and answer. vLLM requires cache for one request of the whole context, which
        is ``runtime.max_model_len`` or the model's own length; ``longest`` is used only if neither is known.
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
    """Estimate the GB per GPU of training: weights, gradients, AdamW states, reference model, and `RESERVE_GB`.

    ZeRO divides AdamW's states among the GPUs from stage 1 on, the gradients from stage 2 on, and the weights in stage
    3 (Rajbhandari et al., 2020). The gradients and states of an adapter are small and not counted.
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
