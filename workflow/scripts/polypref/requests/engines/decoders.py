"""Checks shared by the two engines for decoders (vLLM and beam search): folder, chat template, context, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polypref.requests.engines import Completion, EngineError, line_of
from polypref.sources.templates import require_fixed
from polypref.sources.tokens import TokenizerError


def require_folder(path: str, revision: str | None) -> None:
    """Check that a local checkpoint exists; one on the Hub has a revision.

    Raises
    ------
    EngineError
    """
    if revision is None and not Path(path).is_dir():
        raise EngineError(
            f"{path}: no such folder. Train or download the checkpoint, or correct `path` in the registry."
        )


def require_template(render: Callable[[list[dict[str, str]]], Any], template: Any, path: str) -> None:
    """Check that the chat template renders a message and does not insert today's date.

    Raises
    ------
    EngineError
    """
    try:
        require_fixed(template, path)
        render([{"role": "user", "content": "x"}])
    except TokenizerError as error:
        raise EngineError(str(error)) from error
    except Exception as error:  # templates and tokenizers raise errors of many types
        raise EngineError(
            f"{path}: the tokenizer's chat template is missing or fails: {line_of(error)}. Set `chat_template` in the "
            "model registry to the template the model was trained on."
        ) from error


class PromptTooLong(ValueError):
    """The prompt leaves no room for an output in the context."""


@dataclass(frozen=True)
class Context:
    """The context of a started engine.

    Parameters
    ----------
    size : maximum number of tokens of a prompt and its output (``runtime.max_model_len``, or else ``own``)
    own : maximum number of tokens that the model supports
    """

    size: int
    own: int

    def max_tokens(self, prompt_tokens: int, wanted: int) -> int:
        """Return the maximum length of the output: ``wanted``, or fewer tokens if the context has no room for more.

        Raises
        ------
        PromptTooLong
        """
        if prompt_tokens >= self.size:
            raise PromptTooLong(
                f"the prompt has {prompt_tokens} tokens, and the context is limited to {self.size} "
                f"(runtime.max_model_len; the model's own is {self.own}): no room for an answer"
            )
        return min(wanted, self.size - prompt_tokens)

    def failed(self, request_id: str, error: BaseException) -> Completion:
        """Return the completion of a request that can't be rendered; with a larger context, it could succeed later."""
        grows = isinstance(error, PromptTooLong) and self.size < self.own
        return Completion(request_id, error=line_of(error), permanent=not grows)

    def checked(self, completion: Completion, wanted: int) -> Completion:
        """Return the completion, or an error if a larger ``runtime.max_model_len`` would have made it longer.

        Options under ``runtime`` must not change a completion.
        """
        cut = completion.finish_reason == "length" and self.size < self.own
        if not cut or completion.prompt_tokens + wanted <= self.size:
            return completion
        error = (
            f"the answer is truncated: its prompt has {completion.prompt_tokens} tokens, and the context is limited to "
            f"{self.size}. Raise runtime.max_model_len (the model's own is {self.own})"
        )
        return replace(completion, text="", finish_reason="error", logprobs=None, error=error, permanent=False)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether less memory would help; 'no available memory for the cache blocks' means that it needs more."""
    text = " ".join([str(error), *getattr(error, "__notes__", [])]).lower()
    signs = ("out of memory", "free memory on device", "available memory on node", "can't allocate memory")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)
