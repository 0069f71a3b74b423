"""Prompts for translation, generation, judging and rating.

The prompts of X-ALMA and TowerInstruct must keep the exact format that these models were trained on; ``instruct`` is
this project's own wording for general models. Placeholders inside an inserted text are not replaced.
"""

from __future__ import annotations

import re
from typing import Any

from polypref.config.translation_prompts import TRANSLATION_PROMPTS
from polypref.files.conversations import Messages, to_transcript

_TURNS = r"\[(?=/?(?:INST|SYSTEM_PROMPT)\])|<(?=[|\uff5c]|/?s>|(?:start|end)_of_turn>|[be]os>)"
"""Start of a turn marker of a chat template, for example ``<|im_end|>``, ``</s>``, ``<end_of_turn>`` or ``[INST]``."""


def fill(template: str, **values: str) -> str:
    """Replace each ``{name}`` by its value in a single pass, so braces inside a value are kept.

    Raises
    ------
    KeyError
        The template has a placeholder without a value.
    """
    return re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], template)


def user(text: str) -> Messages:
    """Build a conversation with a single user turn."""
    return [{"role": "user", "content": text}]


def translation_messages(prompt: str, text: str, language_name: str) -> Messages:
    """Build the messages that request the translation of an English text; ``prompt`` is a name or a template."""
    return user(fill(TRANSLATION_PROMPTS.get(prompt, prompt), text=text, language=language_name))


def judge_messages(template: str, language_name: str, prompt: str, answer_a: str, answer_b: str) -> Messages:
    """Build the messages that request a comparison of two answers.

    A prompt of several messages is shown with their roles, as in the data sets (``System: ...``, ``User: ...``).
    The template encloses each text in tags. If a text contains one of these tags, or a turn marker of a chat template
    that a tokenizer would interpret, an invisible character is inserted into it. Therefore no answer can close its own
    tag or end its turn, and pass itself off as instructions or as the judge's reply.
    """
    tags = re.findall(r"</(\w+)>", template)
    values: dict[str, Any] = {"prompt": to_transcript(prompt), "answer_a": answer_a, "answer_b": answer_b}
    fenced = {name: _defuse(text, tags) for name, text in values.items()}
    return user(fill(template, language=language_name, **fenced))


def rating_messages(template: str, language_name: str, source: str, translation: str) -> Messages:
    """Build the messages that request a rating of a translation; turn markers in the texts are made ineffective."""
    tags = re.findall(r"</(\w+)>", template)
    values = {"source": _defuse(source, tags), "translation": _defuse(translation, tags)}
    return user(fill(template, language=language_name, **values))


def _defuse(text: str, tags: list[str]) -> str:
    fences = "".join(rf"|<(?=\s*(?:/\s*)?{tag}\b)" for tag in tags)
    return re.sub(_TURNS + fences, lambda mark: mark[0] + "\u200b", text, flags=re.IGNORECASE)
