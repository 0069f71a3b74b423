"""vLLM's offline engine in this process: sampling and greedy decoding, on GPUs or on a CPU.

Requests are rendered exactly as by ``LLM.chat``, but the engine loop is our own. A bounded number of requests is
rendered ahead of the scheduler, so that batches are always full although 100,000 prompts are never in memory at once.
Each completion is yielded as soon as it is available. Prompts are processed in the given order, because consecutive
prompts share a prefix.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

from polypref.requests.engines import Completion, EngineError, Request, line_of
from polypref.requests.engines.decoders import Context, require_folder, require_template
from polypref.requests.engines.imports import IN_THIS_PROCESS, VLLM_ENVIRONMENT
from polypref.requests.engines.vllm_internals import ChatRenderer, max_running, model_context, shut_down
from polypref.requests.engines.vllm_jobs import MAX_LOGPROBS, Job
from polypref.requests.engines.vllm_start import remedy, start_in_less_memory

AHEAD = 2048
"""Minimum number of requests that are rendered ahead. With fewer, small models were 5% slower."""


def open_engine(checkpoint: Any, path: str, revision: str | None) -> VllmEngine:
    """Start vLLM for a checkpoint (see :func:`polypref.requests.engines.open_engine`).

    Only safetensors weights are loaded. The context is ``runtime.max_model_len``, or else the model's own.

    Raises
    ------
    EngineError
        The folder is missing, there is no chat template, or vLLM can't start with this ``runtime``.
    """
    require_folder(path, revision)
    runtime = checkpoint.runtime
    for name, value in VLLM_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not runtime.gpus:
        os.environ.update(IN_THIS_PROCESS)
    import torch
    from vllm import LLM
    from vllm.platforms import current_platform

    if current_platform.is_cpu() != (runtime.gpus == 0):
        raise EngineError(
            f"{path}: runtime.gpus is {runtime.gpus}, but the installed vLLM is built for "
            f"{current_platform.device_type}. Set `gpus` in the registry's `runtime`, or install the other build."
        )
    if not runtime.gpus:
        # enforce_eager does not disable torch.compile in vLLM's sampler, which would run a C++ compiler at first use.
        torch.compiler.set_stance("force_eager")
        torch.set_num_threads(runtime.threads)
    settings: dict[str, Any] = {
        "model": path,
        "revision": revision,
        "tokenizer_revision": revision,
        "dtype": checkpoint.dtype,
        "trust_remote_code": checkpoint.trust_remote_code,
        "load_format": "safetensors",
        "enable_prefix_caching": True,
        "max_logprobs": MAX_LOGPROBS,
        "disable_log_stats": True,
        "max_num_seqs": runtime.max_num_seqs,
    }
    if runtime.gpus:
        settings |= {"tensor_parallel_size": runtime.tensor_parallel, "gpu_memory_utilization": runtime.memory_fraction}
    else:
        settings |= {
            "distributed_executor_backend": "uni",
            "enforce_eager": True,
            # With chunked prefill, vLLM rewinds the request's random generator, which torch does not support on a CPU.
            "enable_chunked_prefill": False,
            "kv_cache_memory_bytes": int(runtime.kv_cache_gb * 2**30),
        }
    try:
        own_context = model_context(settings)
        settings["max_model_len"] = runtime.max_model_len or own_context
        llm = start_in_less_memory(LLM, settings)
    except Exception as error:  # vLLM and torch raise many types of errors, all of which are fatal here
        raise EngineError(remedy(path, error, settings, bool(runtime.gpus))) from error
    engine = VllmEngine(llm, checkpoint.chat_template, own_context)
    try:
        template = checkpoint.chat_template or getattr(engine.tokenizer, "chat_template", None)
        require_template(engine.render, template, path)
    except EngineError:
        engine.close()
        raise
    return engine


class VllmEngine:
    """A started ``vllm.LLM`` (see :class:`polypref.requests.engines.Engine`)."""

    def __init__(self, llm: Any, chat_template: str | None, own_context: int):
        self.llm = llm
        self.tokenizer = llm.get_tokenizer()
        self.context = Context(llm.model_config.max_model_len, own_context)
        self._renderer = ChatRenderer(llm, chat_template)
        # Requests are refilled when half of them are left, so that the scheduler never has to wait.
        self._ahead = max(AHEAD, 4 * max_running(llm))

    def render(self, messages: list[dict[str, str]], thinking: bool = True) -> Any:
        """Render chat messages to the same token ids as ``LLM.chat``; raise ValueError if that is not possible."""
        return self._renderer.render(messages, thinking)

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request as soon as it is available.

        A prompt that leaves no room for an answer in the context is a permanent error. If an answer could exceed the
        context, ``max_tokens`` is reduced to the remaining room, and a truncated answer has finish_reason ``length``.
        If ``runtime.max_model_len`` limits the context to less than the model supports, such an answer is a temporary
        error instead, because options under ``runtime`` must not change an answer. Each request has its own seed, so an
        answer does not depend on the other requests of the batch (except for the rounding of batched kernels).

        Raises
        ------
        EngineError
            The engine failed. Completions that were already yielded are valid; the other requests can be retried.
        """
        from vllm.exceptions import VLLMClientError, VLLMServerError

        engine, source, names = self.llm.llm_engine, iter(requests), itertools.count()
        owners: dict[str, Job] = {}
        try:
            while True:
                if len(owners) <= self._ahead // 2:
                    while len(owners) < self._ahead and (request := next(source, None)) is not None:
                        try:
                            job, name = self._start(request), f"p{next(names)}"
                            engine.add_request(name, job.prompt, job.parameters())
                            owners[name] = job
                        except (ValueError, TypeError, VLLMClientError) as error:
                            # TypeError: text with lone surrogates.
                            yield self.context.failed(request.request_id, error)
                if not owners:
                    return
                for output in engine.step():
                    if output.finished:
                        job = owners.pop(output.request_id)
                        yield self.context.checked(job.completion(output), job.request.decoding["max_tokens"])
        except (RuntimeError, MemoryError, VLLMServerError) as error:
            raise EngineError(
                f"vLLM stopped: {line_of(error)}. Finished completions are kept; run again to continue, with "
                "a lower runtime.memory_fraction or runtime.max_num_seqs if it ran out of memory."
            ) from error
        finally:
            if owners:
                engine.abort_request(list(owners))

    def close(self) -> None:
        """Free the device."""
        if self.llm is not None:
            shut_down(self.llm)
            self.llm = None
            gc.collect()

    def _start(self, request: Request) -> Job:
        prompt = self.render(request.messages, request.decoding.get("reasoning") != "off")
        tokens = len(prompt["prompt_token_ids"])
        return Job(request, prompt, self.context.max_tokens(tokens, request.decoding["max_tokens"]))
