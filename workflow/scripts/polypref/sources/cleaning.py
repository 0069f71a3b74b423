"""Clean texts: Unicode normalisation, line ends, control characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

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
