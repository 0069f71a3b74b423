"""Prompts by name: what is sent to a model to have a text translated, answered or judged.

The formats of X-ALMA and TowerInstruct are those that the models were trained on and must stay exact; ``instruct`` is
this project's own wording for general models. Texts are inserted once and never scanned for placeholders.
"""

from __future__ import annotations

import re
from typing import Any

from polypref.config.translation_prompts import TRANSLATION_PROMPTS

Messages = list[dict[str, str]]

_TURNS = r"\[(?=/?(?:INST|SYSTEM_PROMPT)\])|<(?=[|\uff5c]|/?s>|(?:start|end)_of_turn>|[be]os>)"
"""How the marks of turns begin: ``<|im_end|>`` and its like, ``</s>``, ``<end_of_turn>``, ``[INST]``."""


def fill(template: str, **values: str) -> str:
    """Put values in place of ``{name}`` in a single pass: braces inside a value are left alone.

    Raises
    ------
    KeyError
        When the template names a value that is not given.
    """
    return re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], template)


def user(text: str) -> Messages:
    """A conversation of one user turn."""
    return [{"role": "user", "content": text}]


def translation_messages(prompt: str, text: str, language_name: str) -> Messages:
    """The request to translate an English text; ``prompt`` is a name or a template."""
    return user(fill(TRANSLATION_PROMPTS.get(prompt, prompt), text=text, language=language_name))


def judge_messages(template: str, language_name: str, prompt: str, answer_a: str, answer_b: str) -> Messages:
    """The request to compare two answers.

    The candidate texts are fenced by tags of the template. A tag of it inside a text is broken up by an invisible
    character, and so are the marks of turns that chat templates use, which a tokenizer would read as such: no answer
    can end its own fence, or its turn, and speak as the instructions or the judge do.
    """
    tags = re.findall(r"</(\w+)>", template)
    values: dict[str, Any] = {"prompt": prompt, "answer_a": answer_a, "answer_b": answer_b}
    fenced = {name: _defuse(text, tags) for name, text in values.items()}
    return user(fill(template, language=language_name, **fenced))


def _defuse(text: str, tags: list[str]) -> str:
    fences = "".join(rf"|<(?=\s*(?:/\s*)?{tag}\b)" for tag in tags)
    return re.sub(_TURNS + fences, lambda mark: mark[0] + "\u200b", text, flags=re.IGNORECASE)
