"""Engines, which generate completions; an engine is imported and started only if completions are missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(slots=True)  # creating frozen objects takes several times as long
class Request:
    """One request to a model.

    ``messages``: chat messages [{"role": ..., "content": ...}]. ``decoding``: the decoding parameters that
    determine the output, with only these keys: ``max_tokens`` (int), ``temperature`` (0 is greedy), ``top_p``,
    ``beam_size`` (int; present for beam search only), ``stop`` (list of strings), ``choices`` (list of strings: the
    answer is one of them), ``source_code`` and ``target_code`` (language codes of a seq2seq model), ``seed`` (int),
    ``extra_body`` (dict: further fields for an API), ``reasoning`` (strip, keep or off).
    """

    request_id: str
    messages: list[dict[str, str]]
    decoding: dict[str, Any]


@dataclass(slots=True)
class Completion:
    """The output for a request, or the reason for its failure (``error``, with empty text and finish_reason ``error``).

    ``finish_reason``: stop, length (truncated at max_tokens) or error. ``logprobs``: {choice: natural-log probability}
    for requests with choices, if the engine provides it. Tokens are counted with the model's own tokenizer.
    ``cost_usd``: price of the request if an API charges for it, otherwise 0.
    """

    request_id: str
    text: str = ""
    finish_reason: str = "error"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: dict[str, float] | None = None
    cost_usd: float = 0.0
    error: str | None = None
    permanent: bool = field(default=True, compare=False)
    """For errors: whether a retry would give the same error (too long, refused); otherwise it may be temporary."""
    estimated: bool = field(default=False, compare=False)
    """The server did not report token counts, so these and the cost are estimates."""


class EngineError(RuntimeError):
    """The engine can't start or can't continue; the message gives the remedy."""


class Engine(Protocol):
    """Interface of an engine."""

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request, in any order, as soon as it is available."""
        ...

    def close(self) -> None:
        """Free the device and the connections."""
        ...


def line_of(error: BaseException) -> str:
    """Return the message of an error as one line, without a final full stop."""
    return " ".join(str(error).split()).rstrip(".")[:500] or type(error).__name__


def engine_of(checkpoint: Any, decoding: dict[str, Any]) -> str:
    """Return the engine module for a request: the checkpoint's engine, except for beam search and the Batch API."""
    if checkpoint.engine == "vllm" and (decoding.get("beam_size") or 1) > 1:
        return "transformers"
    return "openai_batch" if checkpoint.engine == "openai" and checkpoint.runtime.batch_api else checkpoint.engine


def open_engine(
    checkpoint: Any, path: str, revision: str | None, engine: str | None = None, folder: Path | None = None
) -> Engine:
    """Start an engine with a checkpoint.

    Parameters
    ----------
    checkpoint : polypref.config.sections.Checkpoint
        Registry entry: ``engine``, ``dtype``, ``languages``, ``runtime`` and so on.
    path : str
        Hub repository or local folder.
    revision : str or None
        Commit on the Hub; None for a local folder.
    engine : str or None
        Name of the engine module (see :func:`engine_of`); by default the checkpoint's engine.
    folder : Path or None
        Folder of the batch's row store, in which an engine may record what it needs to resume.
    """
    if checkpoint.runtime.device == "cpu":
        runtime = checkpoint.runtime.model_copy(update={"gpus": 0, "tensor_parallel": 1})
        checkpoint = checkpoint.model_copy(update={"runtime": runtime})
    module = importlib.import_module(f"polypref.requests.engines.{engine or checkpoint.engine}")
    resumable = [folder] if engine == "openai_batch" else []
    return module.open_engine(checkpoint, path, revision, *resumable)
