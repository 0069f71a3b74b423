"""Engines answer requests. Each is opened once per batch and imported only when something is missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Request:
    """One request to a model.

    ``messages``: chat messages [{"role": ..., "content": ...}]. ``decoding``: the decoding parameters that
    determine the answer, with only these keys: ``max_tokens`` (int), ``temperature`` (0 is greedy), ``top_p``,
    ``beam_size`` (int; present for beam search only), ``stop`` (list of strings), ``choices`` (list of strings: the
    answer is one of them), ``source_code`` and ``target_code`` (language codes of a seq2seq model), ``seed`` (int),
    ``extra_body`` (dict: further fields for an API), ``reasoning`` (strip, keep or off).
    """

    request_id: str
    messages: list[dict[str, str]]
    decoding: dict[str, Any]


@dataclass(frozen=True)
class Completion:
    """An answer, or the reason why there is none (``error``, with empty text and finish_reason ``error``).

    ``finish_reason``: stop, length (cut at max_tokens) or error. ``logprobs``: {choice: natural-log probability} for
    requests with choices, where the engine gives it. Tokens are counted by the model's own tokenizer; ``cost_usd`` is
    the price of the request at an API that charges for it, else 0.
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
    """For errors: asking again gives the same error (too long, refused), as against a fault that may pass."""
    estimated: bool = field(default=False, compare=False)
    """The server did not count the tokens; they and the cost are estimates."""


class EngineError(RuntimeError):
    """The engine can't start or can't go on; the message says what to change."""


class Engine(Protocol):
    """What ``complete`` needs of an engine."""

    def answer(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request, in any order, as soon as each is there."""
        ...

    def close(self) -> None:
        """Free the device and the connections."""
        ...


def line_of(error: BaseException) -> str:
    """The message of an error in one line, without a final full stop."""
    return " ".join(str(error).split()).rstrip(".")[:500] or type(error).__name__


def engine_of(checkpoint: Any, decoding: dict[str, Any]) -> str:
    """Name of the engine module that answers a request: the checkpoint's, except for the beam searches of a decoder."""
    beams = decoding.get("beam_size") or 1
    return "transformers" if checkpoint.engine == "vllm" and beams > 1 else checkpoint.engine


def open_engine(checkpoint: Any, path: str, revision: str | None, engine: str | None = None) -> Engine:
    """Start an engine of a checkpoint.

    Parameters
    ----------
    checkpoint : polypref.config.sections.Checkpoint
        Registry entry: ``engine``, ``dtype``, ``languages``, ``runtime`` and so on.
    path : str
        Hub repository or local folder.
    revision : str or None
        Commit on the Hub; None for a local folder.
    engine : str or None
        Name of the engine module (:func:`engine_of`); by default the checkpoint's.
    """
    if checkpoint.runtime.device == "cpu":
        runtime = checkpoint.runtime.model_copy(update={"gpus": 0, "tensor_parallel": 1})
        checkpoint = checkpoint.model_copy(update={"runtime": runtime})
    module = importlib.import_module(f"polypref.requests.engines.{engine or checkpoint.engine}")
    return module.open_engine(checkpoint, path, revision)
