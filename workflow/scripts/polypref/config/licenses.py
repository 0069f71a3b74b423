"""The licence of a data set that is derived from several data sets and models: the strictest of theirs."""

from __future__ import annotations

import re
from typing import NamedTuple

RANKS: tuple[tuple[str, str], ...] = (
    ("permissive", r"mit|apache-2\.0|bsd(-.+)?|cc0-1\.0|isc|unlicense"),
    ("attribution", r"cc-by-\d\.\d|odc-by"),
    ("share-alike", r"cc-by-sa-\d\.\d|gpl.*|agpl.*|odbl"),
    ("terms of its maker", r"gemma|llama\d.*|openai-terms|openrail.*|qwen.*"),
    ("non-commercial", r"cc-by-nc.*"),
    ("unknown", r".*"),
)
"""Kinds of licences from the most permissive to the strictest, with patterns that match the Hub's identifiers."""
UNKNOWN = len(RANKS) - 1


class Composed(NamedTuple):
    """A composed licence.

    ``license``: identifier for the Hub, or ``other`` if no single identifier fits. ``kind``: kind of the strictest
    licence. ``strictest``: the data sets and models under a licence of this kind.
    """

    license: str
    kind: str
    strictest: list[str]


def identifiers(text: str) -> list[str]:
    """Parse the licences in an entry, e.g. 'cc-by-4.0 (prompts), cc-by-nc-4.0 (answers)'."""
    return [part for part in (re.sub(r"\(.*?\)", "", part).strip().lower() for part in text.split(",")) if part]


def rank(identifier: str) -> int:
    """Position in `RANKS`; an unknown licence ranks as the strictest, because nothing is known about its terms."""
    return next(i for i, (_, pattern) in enumerate(RANKS) if re.fullmatch(pattern, identifier))


def compose(licenses: dict[str, str]) -> Composed:
    """The strictest licence of {data set or model: licence}.

    The identifier is that of the strictest licences if they all have the same one, else ``other``; it is also ``other``
    if any licence is unknown. This is a ranking and not legal advice: each licence still applies to the part it covers.
    """
    found = {what: identifiers(text) or ["unknown"] for what, text in licenses.items()}
    top = max((rank(one) for many in found.values() for one in many), default=UNKNOWN)
    strictest = [what for what, many in found.items() if any(rank(one) == top for one in many)]
    names = {one for many in found.values() for one in many if rank(one) == top}
    known = top != UNKNOWN and len(names) == 1 and "-terms" not in next(iter(names))
    return Composed(names.pop() if known else "other", RANKS[top][0], strictest)
