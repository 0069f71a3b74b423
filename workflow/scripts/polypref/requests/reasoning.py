"""Reasoning in generated texts: strip it, keep it or reject it, as set by the checkpoint's ``reasoning``."""

from __future__ import annotations

import re
from dataclasses import replace

from polypref.requests.engines import Completion

_TAGS = "think|thinking|thought|reasoning"
_OPENING = re.compile(rf"\s*(<({_TAGS})>|\[THINK\])", re.IGNORECASE)
_CLOSING = re.compile(rf"(</({_TAGS})>|\[/THINK\])", re.IGNORECASE)


def after_reasoning(text: str) -> str:
    """Return the text after its tagged reasoning, all of it if there is none, or nothing if the reasoning has no end.

    Only reasoning at the beginning is recognised; its opening tag may be missing.
    """
    closing = _CLOSING.search(text)
    return text[closing.end() :] if closing else "" if _OPENING.match(text) else text


def apply_reasoning(completion: Completion, mode: str | None) -> Completion:
    """Apply ``reasoning`` to a completion: ``strip``, ``keep`` or ``off``; None leaves the text as it is.

    Only reasoning at the beginning is recognised; its opening tag may be missing, because many chat templates put it
    into the prompt. With ``strip`` and ``keep``, reasoning without an end is an error; with ``off``, any reasoning is.
    With ``strip``, a truncated text without tags is treated as reasoning without an end.
    """
    if mode is None or completion.error is not None:
        return completion
    text = completion.text
    opened, closing = _OPENING.match(text), _CLOSING.search(text)
    truncated = completion.finish_reason == "length"
    if mode == "off":
        if opened or closing:
            return _failed(completion, "the model wrote its reasoning despite `reasoning: off`; use strip or keep")
        return completion
    if not closing and (opened or (truncated and mode == "strip")):
        return _failed(
            completion,
            "the reasoning does not end"
            + (": max_tokens was spent on it; raise max_tokens of this decoding" if truncated else ""),
        )
    if mode == "strip" and closing:
        return replace(completion, text=text[closing.end() :].lstrip())
    return completion


def _failed(completion: Completion, error: str) -> Completion:
    return replace(completion, text="", finish_reason="error", error=error, logprobs=None)
