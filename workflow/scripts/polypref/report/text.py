"""Format texts and numbers for the report."""

import math
import re

# Directional embeddings, overrides and isolates can make a text look like another one; control characters, zero-width
# spaces and tag characters are invisible. Directional marks (U+200E, U+200F) and joiners are allowed, because ordinary
# Arabic text and emoji contain them. static/browser.js has the same list.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
LONGEST = 1500


def visible(text: str, longest: int = LONGEST) -> str:
    """Replace invisible characters of a text by their code points, and truncate a very long text.

    The result is plain text, which the template escapes.
    """
    text = text.replace("\r\n", "\n")
    shown = _INVISIBLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", text[:longest])
    return shown if len(text) <= longest else f"{shown} […] ({len(text):,} characters in all)"


def number(value: float, digits: int = 0) -> str:
    """Format a number with thousands separators; a missing value is an en dash."""
    if value is None or value == "" or math.isnan(value):
        return "–"
    return f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 1) -> str:
    """Format a difference with its sign; values that round to zero have no sign."""
    if value is None or value == "" or math.isnan(value):
        return "–"
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def p_value(value: float) -> str:
    """Format a p-value with three decimals; values that would round to zero are shown as "<0.001"."""
    return "<0.001" if value < 0.0005 else number(value, 3)


def limit(value: float) -> str:
    """Format a value or threshold of a check with three or four significant digits, without trailing zeros."""
    if value is None or value == "" or math.isnan(value):
        return "–"
    return f"{value:,.4g}".replace("-", "−") if abs(value) < 1 else f"{value:,.3g}".replace("-", "−")


def duration(seconds: float) -> str:
    """Format seconds as s, min or h with one decimal."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def compact(value: float) -> str:
    """Shorten a large number to three significant digits, for example 1,234,567 to 1.23M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}"


def level(value: float, full: float) -> int:
    """Map a difference to a step of the diverging colour scale, -4 to 4; values of `full` or more get the last step."""
    if value is None or math.isnan(value):
        return 0
    return max(-4, min(4, round(4 * value / full)))


def words(flag: str) -> str:
    """Convert a name from the data to words, for example ``chosen_wrong_language`` to "chosen wrong language"."""
    return flag.replace("_", " ")
