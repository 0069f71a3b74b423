"""Tell Simplified from Traditional Chinese by the characters that only one of the two scripts has.

The national character sets say which these are: GB 2312-80 has Simplified forms and Big5 Traditional ones, so a
character in one of them alone belongs to one script. Characters in both sets or in neither are ignored.
"""

from __future__ import annotations

from functools import cache

_CODECS = {"Hans": "gb2312", "Hant": "big5"}
OTHER_SCRIPT = 0.1
"""A text is flagged if at least this share of the characters that belong to one script belong to the other one.

tools/measure_lengths.py prints how often Chinese messages of this machine's programs are flagged.
"""


def other_script(text: str, script: str | None) -> float:
    """Return the share in [0, 1] of the characters of only one Chinese script that are not of the expected script.

    ``script`` is an ISO 15924 code; for all but ``Hans`` and ``Hant``, the share is 0.
    """
    if script not in _CODECS or text.isascii():
        return 0.0
    found = [belongs for char in text if (belongs := _script_of(char))]
    return sum(one != script for one in found) / len(found) if found else 0.0


@cache
def _script_of(char: str) -> str | None:
    """Return the only Chinese script that has a character, or None if both or neither have it."""
    if not "\u3400" <= char <= "\u9fff":
        return None
    having = [script for script, codec in _CODECS.items() if char.encode(codec, "ignore")]
    return having[0] if len(having) == 1 else None
