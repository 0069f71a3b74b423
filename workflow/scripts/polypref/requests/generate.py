"""Building requests for responses to the prompts of the base set, and for answers to the evaluation prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from polypref.files.conversations import Messages, to_messages
from polypref.requests.asking import RequestSettings
from polypref.sources.templates import merge_system, takes_system, use_template
from polypref.sources.tokens import TokenizerError, load_tokenizer


def ask_responses(
    items: Iterable[dict[str, Any]],
    settings: RequestSettings,
    language: str,
    fit: Callable[[Messages], Messages] = list,
) -> list[dict[str, Any]]:
    """Build one request per prompt; items have ``item_id`` and ``prompt``.

    An item is skipped if its prompt is empty, which means that the translation of the prompt failed. ``fit`` adapts the
    messages to the model (see :func:`system_fitter`).
    """
    rows = []
    for item in items:
        if item["prompt"].strip():
            unit = [("", fit(to_messages(item["prompt"])), "")]
            rows += settings.rows({"item_id": item["item_id"], "language": language}, unit)
    return rows


def system_fitter(settings: RequestSettings) -> Callable[[Messages], Messages]:
    """Return a function that merges a system message into the first user turn if the model has no system role.

    ``settings.system_role`` decides, or else the checkpoint's chat template, which is read at the first system message.

    Raises
    ------
    TokenizerError
        The function raises it if the template can't be read.
    """
    merges = {"merge": True, "keep": False}.get(settings.system_role or "")

    def fit(messages: Messages) -> Messages:
        nonlocal merges
        if messages[0]["role"] != "system":
            return messages
        if merges is None:
            merges = not takes_system(_tokenizer(settings))
        return merge_system(messages) if merges else messages

    return fit


def _tokenizer(settings: RequestSettings) -> Any:
    try:
        tokenizer = load_tokenizer(settings.path, None if settings.local else settings.revision)
        return use_template(tokenizer, settings.chat_template, settings.path)
    except TokenizerError as error:
        raise TokenizerError(
            f"{error}\nA prompt has a system message, and the chat template determines whether the model supports "
            "it. To decide this explicitly, set system_role of the checkpoint to keep or merge."
        ) from error
