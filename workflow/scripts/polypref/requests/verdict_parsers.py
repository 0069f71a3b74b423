"""Parsers that extract the label (A, B or TIE) from a judge's reply; without a unique label they return ''."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_EQUAL = {"TIE", "C", "DRAW", "BOTH", "EQUAL", "NEITHER"}
_AROUND = "[](){}<>\"'`*.:,! \n\t"


def _label(text: object) -> str:
    """Normalise a label to A, B or TIE; return an empty string for any other text."""
    word = str(text).strip(_AROUND).upper()
    return word if word in ("A", "B") else "TIE" if word in _EQUAL else ""


def label(reply: str) -> str:
    """Parse a reply that is only the label, in any case, and perhaps with punctuation or brackets around it."""
    found = reply.strip(_AROUND).upper()
    return found if found in ("A", "B", "TIE") else ""


def brackets(reply: str) -> str:
    """Parse a label in double brackets, as in MT-bench: ``... [[B]]``; ``[[C]]`` and ``[[TIE]]`` are ties."""
    found = {_label(text) for text in re.findall(r"\[\[\s*(\w+)\s*\]\]", reply)} - {""}
    return found.pop() if len(found) == 1 else ""


def json_winner(reply: str) -> str:
    """Parse a reply that contains a JSON object with the key ``winner``, perhaps with text around the object."""
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
    """Parse the label after "Answer:", "Verdict:" or "Winner:" in the last line that begins with one of them."""
    lines = re.findall(r"^\W*(?:answer|verdict|winner)\W*:\W*(.*)$", reply, re.IGNORECASE | re.MULTILINE)
    return _label(lines[-1]) if lines else ""


PARSERS: dict[str, Callable[[str], str]] = {
    "label": label, "brackets": brackets, "json": json_winner, "answer_line": answer_line,
}  # fmt: skip
"""Parsers by their name in the configuration (``judging.parser``)."""
