"""Starting vLLM with less memory if memory runs out, and explaining why it can't start."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

from polypref.requests.engines import line_of
from polypref.requests.engines.decoders import is_out_of_memory

STARTS, LESS = 3, 0.7
"""Maximum number of starts if memory runs out, and the factor by which each retry reduces the memory."""


def start_in_less_memory(start: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """Start the engine; if memory runs out, retry with less memory, up to :data:`STARTS` starts in total.

    ``settings`` is updated to those of the last start. They do not affect completions, only the number of requests that
    are processed at the same time.
    """
    for tried in range(1, STARTS + 1):
        log = _end_of_log()
        try:
            return start(**settings)
        except Exception as error:
            # On GPUs the engine runs in its own process, and only the log has its error.
            error.add_note(_log_since(log))
            if tried == STARTS or not is_out_of_memory(error):
                raise
            for name in ("gpu_memory_utilization", "kv_cache_memory_bytes"):
                if name in settings:
                    settings[name] = type(settings[name])(settings[name] * LESS)
            settings["max_num_seqs"] = max(1, int((settings.get("max_num_seqs") or 256) * LESS))
            print(f"vLLM ran out of memory ({line_of(error)}); starting again with {_memory(settings)}", flush=True)
            gc.collect()
    raise AssertionError


def _memory(settings: dict[str, Any]) -> str:
    if "kv_cache_memory_bytes" in settings:
        share = f"kv_cache_gb {settings['kv_cache_memory_bytes'] / 2**30:.2f}"
    else:
        share = f"memory_fraction {settings['gpu_memory_utilization']:.2f}"
    return f"{share}, max_num_seqs {settings['max_num_seqs']}"


def _end_of_log() -> tuple[str, int] | None:
    """Return path and size of the file that stderr is redirected to, or None if it is not a file."""
    path = os.path.realpath("/proc/self/fd/2")
    return (path, os.path.getsize(path)) if os.path.isfile(path) else None


def _log_since(log: tuple[str, int] | None) -> str:
    if log is None:
        return ""
    with open(log[0], "rb") as file:
        file.seek(log[1])
        return file.read().decode("utf-8", "replace")


def remedy(path: str, error: BaseException, settings: dict[str, Any], gpu: bool) -> str:
    """Explain why vLLM did not start with some settings, and which option of the registry to change."""
    text, context = str(error).lower(), settings.get("max_model_len")
    if is_out_of_memory(error):
        advice = "lower runtime.memory_fraction (others use the GPU too), or raise runtime.gpus and tensor_parallel"
        advice = advice if gpu else "lower runtime.kv_cache_gb"
        advice += f"; the last of {STARTS} starts was with {_memory(settings)}"
    elif "kv cache" in text or "cache blocks" in text or "max seq len" in text:
        space = "memory_fraction or tensor_parallel" if gpu else "kv_cache_gb"
        advice = f"raise runtime.{space}, or lower runtime.max_model_len (now {context})"
    elif "max_model_len" in text:
        advice = f"lower runtime.max_model_len (now {context})"
    elif "engine core initialization failed" in text:
        advice = "the cause is in the log above; out of memory: runtime.memory_fraction, max_model_len, tensor_parallel"
    elif "model weights" in text or "safetensors" in text:
        advice = "the checkpoint must have its weights as safetensors files"
    else:
        advice = "check the checkpoint's registry entry (path, revision, dtype, trust_remote_code, runtime)"
    return f"{path}: vLLM can't start: {line_of(error)}. Remedy: {advice}."
