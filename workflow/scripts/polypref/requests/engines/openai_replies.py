"""Parsing the replies and errors of chat APIs, including those that differ from the API's documentation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from polypref.requests.engines import Completion, Request

BYTES_PER_TOKEN = 3
"""Bytes per token for estimates; text in most languages has more, so the estimate tends to be too high."""

FINISHED = {"stop": "stop", "length": "length", None: "stop", "eos": "stop", "end_turn": "stop", "max_tokens": "length"}
"""Finish reasons of a complete or truncated text; some compatible servers use other names, or none."""

PARAMETERS = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed")
"""Parameters that the engine may send."""

_UNSUPPORTED = re.compile(
    r"unsupported (parameter|value)|not supported|does(n't| not) support|unrecognized|unknown (parameter|name)|"
    r"extra (inputs|fields|parameters) (are )?not permitted|use '?max_completion_tokens",
    re.IGNORECASE,
)


class BrokenReply(ValueError):
    """The reply has no valid choice; the message gives the reason. ``charged``: the server may have charged for it."""

    def __init__(self, reason: str, charged: bool = True):
        super().__init__(reason)
        self.charged = charged


def read_reply(request: Request, reply: Any) -> dict[str, Any]:
    """Convert a reply, whose fields the client does not validate, to the fields of a :class:`.Completion` without cost.

    If the reply lacks ``usage``, tokens are estimated from the texts and ``estimated`` is true. If the model spent all
    its tokens without writing a text, as reasoning models do, the completion is an error.

    Raises
    ------
    BrokenReply
        The reply contains no choice, or an error of the server.
    """
    if error := getattr(reply, "error", None):
        reason = error.get("message", error) if isinstance(error, Mapping) else error
        raise BrokenReply(f"the server sent an error instead of an answer: {reason}", charged=False)
    try:
        choice = reply.choices[0]
        message, reason = choice.message, choice.finish_reason
        text, refusal = _text(message.content), getattr(message, "refusal", None)
    except (AttributeError, IndexError, TypeError):
        raise BrokenReply("invalid reply: no choices") from None
    thoughts = next(filter(None, (getattr(message, name, None) for name in ("reasoning_content", "reasoning"))), "")
    thoughts = thoughts if isinstance(thoughts, str) else ""
    fields = _usage(request, reply, (text or "") + thoughts)
    if refusal or reason == "content_filter":
        return {**fields, "error": f"refused: {refusal or reason}"}
    if not isinstance(reason, str | None) or reason not in FINISHED:
        return {**fields, "error": f"finish_reason {reason}"}
    if text is None and message.content is not None:
        return {**fields, "error": f"the content is a {type(message.content).__name__}, not a text"}
    if not text and FINISHED[reason] == "length":
        limit = request.decoding["max_tokens"]
        return {
            **fields,
            "error": f"no text: the model spent all {limit} tokens before its answer, probably on reasoning; raise "
            "max_tokens of this decoding, or lower the effort with the checkpoint's extra_body",
        }
    if thoughts and request.decoding.get("reasoning") in ("strip", "keep"):  # in the format of most other models
        text = f"<think>\n{thoughts.strip()}\n</think>\n\n{text or ''}"
    return {**fields, "text": text or "", "finish_reason": FINISHED[reason]}


def _text(content: Any) -> str | None:
    """Return the text of a message, which is a string or a list of parts; parts with reasoning are skipped."""
    if isinstance(content, list) and all(isinstance(part, Mapping) for part in content):
        texts = [part.get("text") for part in content if part.get("type") in ("text", "output_text")]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else None


def _usage(request: Request, reply: Any, written: str) -> dict[str, Any]:
    try:
        tokens = int(reply.usage.prompt_tokens), int(reply.usage.completion_tokens)
        if min(tokens) >= 0:
            return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    except (AttributeError, TypeError, ValueError, OverflowError):
        pass
    prompt = sum(estimate_tokens(message["content"]) for message in request.messages)
    return {"prompt_tokens": prompt, "completion_tokens": estimate_tokens(written), "estimated": True}


def estimate_tokens(text: str) -> int:
    """Estimate the number of tokens of a text from its bytes."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def refused_parameter(status: int, code: Any, parameter: Any, message: str, sent: Mapping[str, Any]) -> str | None:
    """Return the name of the parameter that a model does not support, or None for any other error.

    Some servers report it in the error code, others only in the message.
    """
    if status not in (400, 422) or not (
        code in ("unsupported_parameter", "unsupported_value", "unknown_parameter") or _UNSUPPORTED.search(message)
    ):
        return None
    sent_here = [name for name in sent if name not in ("model", "messages", "extra_body")]
    sent_here += sent.get("extra_body") or {}
    if parameter in sent_here:
        return str(parameter)
    # the longest name first: "max_completion_tokens" is often mentioned as the remedy for "max_tokens"
    named = [name for name in sent_here if re.search(rf"\b{re.escape(name)}\b", message)]
    if named:
        return named[0]
    if code in ("unsupported_parameter", "unknown_parameter") and "max_completion_tokens" in message:
        return next((name for name in sent_here if name == "max_tokens"), None)
    return None


def remedy_for(parameter: str) -> str:
    """Return the change to the registry that avoids a parameter that a model does not support."""
    if parameter in ("max_tokens", "max_completion_tokens"):
        other = "max_completion_tokens" if parameter == "max_tokens" else "max_tokens"
        return f"Set `limit_field: {other}` in this checkpoint's registry entry."
    if parameter in PARAMETERS:
        return f"Set `extra_body: {{{parameter}: null}}` in this checkpoint's registry entry to leave it out."
    return f"Remove {parameter} from `extra_body` in this checkpoint's registry entry."


def completion_of(request: Request, fields: Mapping[str, Any], cost: float) -> Completion:
    """Build the completion from the fields of a reply."""
    return Completion(request.request_id, **fields, cost_usd=cost)
