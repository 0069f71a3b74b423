"""Clean texts: Unicode normalisation, line ends, control characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from polypref.files.conversations import Turn, to_text
from polypref.files.visible import visible

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")


def clean(text: Any) -> str:
    """Apply NFC and Unix line ends; strip control characters and outer white space. A non-string becomes empty."""
    if not isinstance(text, str):
        return ""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _CONTROL.sub("", text).strip()


def readable(text: str) -> str:
    """Return a text that UTF-8 can encode: lone surrogates are replaced by their escape sequences."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_broken(text: str) -> bool:
    """Whether a text has a lone surrogate (half a character), which JSON can escape but UTF-8 can't encode."""
    return _SURROGATE.search(text) is not None


def require_text(what: str, text: str) -> str:
    """Return a text that can be used.

    Raises
    ------
    ValueError
        It has no visible character, or an incomplete character; the message begins with ``what``.
    """
    if not visible(text):
        raise ValueError(f"{what} is empty")
    if is_broken(text):
        raise ValueError(f"{what} contains an incomplete character (a lone surrogate)")
    return text


def clean_prompt(given: Iterable[Turn]) -> str:
    """Clean the turns of a prompt, and convert it to text (see :mod:`polypref.files.conversations`).

    An empty system message is removed, because it is equivalent to none.

    Raises
    ------
    ValueError
        A message is unusable; the message is the reason.
    """
    turns = [(role, clean(content)) for role, content in given]
    if len(turns) > 1 and turns[0][0] == "system" and not visible(turns[0][1]):
        turns = turns[1:]
    for role, text in turns:
        require_text("prompt" if len(turns) == 1 else f"a message of the {role} in prompt", text)
    return to_text(turns)
