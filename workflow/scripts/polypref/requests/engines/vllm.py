"""vLLM, offline and in this process: sampling and greedy search of decoders, on GPUs or on a CPU.

Requests are rendered exactly as ``LLM.chat`` renders them, but the engine loop is driven here: a bounded number of
requests is kept ahead of the scheduler, so that batching never drains and 100,000 prompts do not sit in memory, and
each completion is yielded when it is there. Prompts keep the order in which they are given: neighbours share a prefix.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

from polypref.requests.engines import Completion, EngineError, Request, line_of
from polypref.requests.engines.decoders import Context, require_folder, require_template
from polypref.requests.engines.vllm_internals import ChatRenderer, max_running, model_context, shut_down
from polypref.requests.engines.vllm_jobs import MAX_LOGPROBS, Job
from polypref.requests.engines.vllm_start import remedy, start_in_less_memory

AHEAD = 2048
"""Requests that are rendered ahead at least. Fewer at a time, between the engine's steps, cost 5% on small models."""


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
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if not runtime.gpus:  # or else vLLM on CPU insists on an executor in a process of its own
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    import torch
    from vllm import LLM
    from vllm.platforms import current_platform

    if current_platform.is_cpu() != (runtime.gpus == 0):
        raise EngineError(
            f"{path}: runtime.gpus is {runtime.gpus}, but the installed vLLM is built for "
            f"{current_platform.device_type}. Set `gpus` in the registry's `runtime`, or install the other build."
        )
    if not runtime.gpus:
        # enforce_eager leaves torch.compile on in vLLM's sampler: the first log-probability waits for a C++ compiler.
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
            # A prompt that is cut into chunks makes vLLM rewind the request's generator, which torch can't on a CPU.
            "enable_chunked_prefill": False,
            "kv_cache_memory_bytes": int(runtime.kv_cache_gb * 2**30),
        }
    try:
        own_context = model_context(settings)
        settings["max_model_len"] = runtime.max_model_len or own_context
        llm = start_in_less_memory(LLM, settings)
    except Exception as error:  # vLLM and torch raise many kinds, and all of them mean that there is no engine
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
        # Refilled at the half: the scheduler always has the next request at hand.
        self._ahead = max(AHEAD, 4 * max_running(llm))

    def render(self, messages: list[dict[str, str]], thinking: bool = True) -> Any:
        """Chat messages as vLLM's engine input, the same token ids as ``LLM.chat``'s; ValueError if they can't be."""
        return self._renderer.render(messages, thinking)

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request as soon as it is there.

        A prompt that leaves no room for an answer in the context is a permanent error. An answer that may outgrow the
        context is asked for with ``max_tokens`` cut to what is left, and ends with finish_reason ``length`` there.
        Where ``runtime.max_model_len`` has made the context smaller than the model's own, that is an error that may
        pass: nothing under ``runtime`` may change an answer.
        Sampling is seeded per request, so an answer does not depend on what else is in the batch (up to the rounding
        of batched kernels).

        Raises
        ------
        EngineError
            The engine died; what has been yielded is good, and the rest can be asked again.
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
                f"vLLM stopped while answering: {line_of(error)}. What was answered is kept; run again to go on, with "
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
