"""Parsers that extract a rating from 0 to 100 from a rater's reply; without a unique one they return None.

``number`` extends the parser of GEMBA (Kocmi and Federmann 2023), which accepts a reply with a single number.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable

_NUMBER = r"-?\d+(?:[.,]\d+)*"
_OF_100 = r"(?:\s*%|\s*(?:/|out\s+of)\s*100(?![\d.,]*\d))"
_SCALE = re.compile(r"(?<![\d.,])0\s*(?:-|–|to)\s*100(?![\d.,]*\d)", re.IGNORECASE)
"""A mention of the whole scale, for example ``0-100``."""
_LABEL = r"(?:score|rating)"
_ALONE = re.compile(rf"[^\w-]*(?:{_LABEL}\b[^\w-]*)?({_NUMBER}){_OF_100}?\W*", re.IGNORECASE)
_LINE = re.compile(rf"^\W*{_LABEL}\b\W*?:\W*?({_NUMBER}){_OF_100}?\W*$", re.IGNORECASE | re.MULTILINE)


def _value(number: object) -> float | None:
    """Return a number from 0 to 100 with at most two decimals, after a point or a comma; None for any other value.

    A number between 0 and 1 is none either: the rater probably used a scale from 0 to 1.
    """
    if isinstance(number, str):
        if not re.fullmatch(r"\d{1,3}(?:[.,]\d{1,2})?", number):
            return None
        number = float(number.replace(",", "."))
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        return None
    return float(number) if number == 0 or 1 <= number <= 100 else None


def _unique(found: Iterable[float | None]) -> float | None:
    values = set(found)
    return values.pop() if len(values) == 1 else None


def number(reply: str) -> float | None:
    """Parse a reply whose first line is only the rating, or whose only number is the rating (``85/100``, ``85%``)."""
    first = next((line for line in reply.splitlines() if line.strip()), "")
    if match := _ALONE.fullmatch(_SCALE.sub(" ", first)):
        return _value(match[1])
    text = re.sub(rf"({_NUMBER}){_OF_100}", r"\1", _SCALE.sub(" ", reply), flags=re.IGNORECASE)
    return _unique(_value(found) for found in re.findall(_NUMBER, text))


def score_line(reply: str) -> float | None:
    """Parse the number in the last line that is "Score: 85", "Rating: 85/100" or the like."""
    lines = _LINE.findall(_SCALE.sub(" ", reply))
    return _value(lines[-1]) if lines else None


def json_score(reply: str) -> float | None:
    """Parse a reply that contains a JSON object with the key ``score`` or ``rating``, perhaps with text around it."""
    found = []
    for match in re.finditer(r"\{[^{}]*\}", reply):
        try:
            value = json.loads(match[0])
        except ValueError:
            continue
        found += [_value(value[key]) for key in ("score", "rating") if key in value]
    return _unique(found)


PARSERS: dict[str, Callable[[str], float | None]] = {"number": number, "score_line": score_line, "json": json_score}
"""Parsers by their name in the configuration (``rating.parser``)."""
