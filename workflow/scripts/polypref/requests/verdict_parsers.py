"""Parsers that find a judge's label (A, B or TIE) in its reply, by name; a reply without exactly one label has none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_EQUAL = {"TIE", "C", "DRAW", "BOTH", "EQUAL", "NEITHER"}
_AROUND = "[](){}<>\"'`*.:,! \n\t"


def _label(text: object) -> str:
    """A, B or TIE, or an empty text."""
    word = str(text).strip(_AROUND).upper()
    return word if word in ("A", "B") else "TIE" if word in _EQUAL else ""


def label(reply: str) -> str:
    """The reply is the label alone, in any case and with punctuation or brackets around it."""
    found = reply.strip(_AROUND).upper()
    return found if found in ("A", "B", "TIE") else ""


def brackets(reply: str) -> str:
    """The label stands in double brackets, as in MT-bench: ``... [[B]]``; ``[[C]]`` and ``[[TIE]]`` are ties."""
    found = {_label(text) for text in re.findall(r"\[\[\s*(\w+)\s*\]\]", reply)} - {""}
    return found.pop() if len(found) == 1 else ""


def json_winner(reply: str) -> str:
    """The reply holds one JSON object with a key ``winner``, perhaps in a code block or with text around it."""
    found = set()
    for match in re.finditer(r"\{[^{}]*\}", reply):
        try:
            value = json.loads(match[0])
        except ValueError:
            continue
        if isinstance(value, dict) and "winner" in value:
            found.add(_label(value["winner"]))
    return found.pop() if len(found) == 1 else ""


def answer_line(reply: str) -> str:
    """The last line that begins with "Answer:", "Verdict:" or "Winner:" ends in the label."""
    lines = re.findall(r"^\W*(?:answer|verdict|winner)\W*:\W*(.*)$", reply, re.IGNORECASE | re.MULTILINE)
    return _label(lines[-1]) if lines else ""


PARSERS: dict[str, Callable[[str], str]] = {
    "label": label, "brackets": brackets, "json": json_winner, "answer_line": answer_line,
}  # fmt: skip
"""Parsers by their name in the configuration (``judging.parser``)."""
