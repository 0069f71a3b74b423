"""Words and numbers as the page shows them."""

import math
import re

# Explicit directional embeddings, overrides and isolates can make a text look like another one; control characters,
# zero-width blanks and tag characters can't be seen. Marks (U+200E, U+200F) and joiners stay: honest Arabic text and
# emoji have them. static/browser.js has the same list.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
LONGEST = 1500


def visible(text: str, longest: int = LONGEST) -> str:
    """A text from a model or a data set, with what can't be seen written out, and cut where it is very long.

    It is still plain text: the template escapes it.
    """
    text = text.replace("\r\n", "\n")
    shown = _UNSEEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", text[:longest])
    return shown if len(text) <= longest else f"{shown} […] ({len(text):,} characters in all)"


def number(value: float, digits: int = 0) -> str:
    """A number with thousands separators; an en dash where there is none."""
    if value is None or value == "" or math.isnan(value):
        return "–"
    return f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 1) -> str:
    """A difference with its sign; nothing that rounds to zero has one."""
    if value is None or value == "" or math.isnan(value):
        return "–"
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def p_value(value: float) -> str:
    """A p-value in three digits; a small one says only that it is small, for none is 0."""
    return "<0.001" if value < 0.0005 else number(value, 3)


def limit(value: float) -> str:
    """A value or threshold of a check in three digits or so, without trailing zeros."""
    if value is None or value == "" or math.isnan(value):
        return "–"
    return f"{value:,.4g}".replace("-", "−") if abs(value) < 1 else f"{value:,.3g}".replace("-", "−")


def duration(seconds: float) -> str:
    """Seconds as s, min or h with three digits or so."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def compact(value: float) -> str:
    """A large number in three digits: 1,234,567 is 1.23M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}"


def level(value: float, full: float) -> int:
    """Step of a difference on the page's diverging scale, -4 to 4; `full` and more is the last step."""
    if value is None or math.isnan(value):
        return 0
    return max(-4, min(4, round(4 * value / full)))


def words(flag: str) -> str:
    """A name from the data as words: ``chosen_wrong_language`` is "chosen wrong language"."""
    return flag.replace("_", " ")
