"""Engine for beam search with decoders, which loads them with transformers (see :mod:`.beam_engine`)."""

from __future__ import annotations

from typing import Any

from polypref.requests.engines import EngineError, line_of
from polypref.requests.engines.beam_engine import ROWS, BeamSearchEngine
from polypref.requests.engines.decoders import Context, require_folder, require_template


def open_engine(checkpoint: Any, path: str, revision: str | None) -> BeamSearchEngine:
    """Load a decoder for beam search (see :func:`polypref.requests.engines.open_engine`).

    Raises
    ------
    EngineError
        The folder or the chat template is missing, the model is not a decoder with a key-value cache, or the model does
        not fit on the device.
    """
    require_folder(path, revision)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    runtime = checkpoint.runtime
    if runtime.gpus and not torch.cuda.is_available():
        raise EngineError(
            f"{path}: runtime.gpus is {runtime.gpus}, but torch finds no GPU here. Set `gpus: 0` in the registry's "
            "`runtime`, or run where there is one."
        )
    if not runtime.gpus:
        torch.set_num_threads(runtime.threads)
    options = {"revision": revision, "trust_remote_code": checkpoint.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=checkpoint.dtype, use_safetensors=True, **options)
        model = model.to("cuda" if runtime.gpus else "cpu").eval()
        if has_more_than_keys(model):
            raise ValueError("its cache has more than keys and values, which beam search can't reorder")
        config = model.config.get_text_config(decoder=True)
        own = config.max_position_embeddings
        room = _room(model, config, runtime)
        engine = BeamSearchEngine(
            *(model, tokenizer, checkpoint.chat_template, Context(min(runtime.max_model_len or own, own), own)),
            room=room,
            rows=runtime.max_num_seqs or ROWS,
        )
    except Exception as error:  # transformers and torch raise many types of errors, all fatal here
        raise EngineError(f"{path}: can't be loaded for beam search: {line_of(error)}. Remedy: {_REMEDY}.") from error
    try:
        require_template(engine.render, checkpoint.chat_template or tokenizer.chat_template, path)
    except EngineError:
        engine.close()
        raise
    return engine


_REMEDY = (
    "check path, revision and dtype in the registry; the checkpoint must be a decoder that transformers knows, with "
    "weights in safetensors files, and fit one GPU. Otherwise, use it without beam_size"
)


def has_more_than_keys(model: Any) -> bool:
    """Return whether a model's cache has more than keys and values, such as a recurrent state."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    if model._is_stateful:
        return True
    return any(
        type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer)
        for layer in DynamicCache(config=model.config).layers
    )


def _room(model: Any, config: Any, runtime: Any) -> int:
    """Compute the capacity of the key-value cache in tokens.

    On a CPU, the cache has ``kv_cache_gb``. On a GPU, it has four fifths of the memory that ``memory_fraction`` leaves
    after the weights; the rest is for activations and log-probabilities.
    """
    import torch

    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    token = 2 * config.num_hidden_layers * heads * head * model.dtype.itemsize
    if not runtime.gpus:
        return int(runtime.kv_cache_gb * 2**30) // token
    free, total = torch.cuda.mem_get_info()
    return int((free - (1 - runtime.memory_fraction) * total) * 0.8) // token
