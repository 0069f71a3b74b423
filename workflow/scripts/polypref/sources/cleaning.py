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
    """Return a text that UTF-8 can encode: half a character is replaced by its escape sequence."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_broken(text: str) -> bool:
    """Whether a text has half a character: JSON can escape a lone surrogate, but UTF-8 can't encode it."""
    return _SURROGATE.search(text) is not None


def require_text(what: str, text: str) -> str:
    """Return a text that can be used.

    Raises
    ------
    ValueError
        It has no visible character, or half a character; the message begins with ``what``.
    """
    if not visible(text):
        raise ValueError(f"{what} is empty")
    if is_broken(text):
        raise ValueError(f"{what} has half a character (a lone surrogate)")
    return text


def clean_prompt(given: Iterable[Turn]) -> str:
    """Clean the turns of a prompt, and convert it to text (see :mod:`polypref.files.conversations`).

    An empty system message is left out: it says the same as none.

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
