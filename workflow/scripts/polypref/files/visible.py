"""The visible part of a text: two texts that differ only in invisible characters count as equal."""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_SELECTORS = range(0xFE00, 0xFE10)
_SPACES = re.compile(r"[^\S\n ]")
_PLAIN = "!-~¡-¬®-ɏΈ-ϿЀ-҂Ҋ-ԯא-תؠ-يぁ-ゖァ-ヺー、-〃〈-】㐀-䶿一-鿿가-힣！-～"
"""Visible characters that are the same in a normalised text, unless a combining mark follows them."""
_START = re.compile(f"[{_PLAIN}](?:[{_PLAIN} ]{{0,30}}[{_PLAIN}])?(?=[{_PLAIN} ])")
"""Pattern of the start of a text that consists only of visible characters."""

_TWO_VISIBLE = f"^[{_PLAIN}][{_PLAIN} ]"


class _Visible(dict[int, str | None]):
    """A table for str.translate that removes invisible characters."""

    def __missing__(self, code: int) -> str | None:
        self[code] = found = None if _is_invisible(chr(code)) else chr(code)
        return found


def visible(text: str) -> str:
    """Remove invisible characters (zero-width characters, soft hyphens, direction marks); every blank becomes a space.

    Blanks at the ends of lines and of the text are removed; indentation is kept, because it has a meaning in code.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_VISIBLE)
    lines = _SPACES.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def look_equal(one: str, two: str) -> bool:
    """Whether two texts are equal except for invisible characters; most others differ in their first characters."""
    if one == two:
        return True
    first, second = _START.match(one), _START.match(two)
    if first and second:
        shared = min(first.end(), second.end())
        if one[:shared] != two[:shared]:
            return False
    return visible(one) == visible(two)


def may_look_equal(one: pa.Array, two: pa.Array) -> pa.BooleanArray:
    """For each two texts, whether :func:`look_equal` has to compare them; False if one is null or they begin otherwise.

    Texts that both begin with two visible characters are different if the first ones are.
    """
    plain = pc.and_(*(pc.match_substring_regex(texts, _TWO_VISIBLE) for texts in (one, two)))
    first, second = (pc.utf8_slice_codeunits(texts, 0, 1) for texts in (one, two))
    return pc.fill_null(pc.or_(pc.invert(plain), pc.equal(first, second)), False)


def _is_invisible(char: str) -> bool:
    code = ord(char)
    return char in _FILLERS or code in _SELECTORS or 0xE0100 <= code < 0xE01F0 or unicodedata.category(char) == "Cf"


_VISIBLE = _Visible()
