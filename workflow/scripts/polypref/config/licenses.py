"""The licence of a data set that was made from several data sets and models: the strictest of theirs."""

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
"""Kinds of licences from the most liberal to the strictest, by the Hub's identifiers."""
UNKNOWN = len(RANKS) - 1


class Composed(NamedTuple):
    """``license``: identifier for the Hub, ``other`` where no single one says it. ``kind``: of the strictest.
    ``strictest``: what went in under such a licence."""

    license: str
    kind: str
    strictest: list[str]


def identifiers(text: str) -> list[str]:
    """Licences named in an entry, e.g. 'cc-by-4.0 (prompts), cc-by-nc-4.0 (answers)'."""
    return [part for part in (re.sub(r"\(.*?\)", "", part).strip().lower() for part in text.split(",")) if part]


def rank(identifier: str) -> int:
    """Position in `RANKS`; what is not known is the strictest, for nothing can be promised."""
    return next(i for i, (_, pattern) in enumerate(RANKS) if re.fullmatch(pattern, identifier))


def compose(licenses: dict[str, str]) -> Composed:
    """The strictest licence of {data set or model: licence}.

    The identifier is that of the strictest where they agree on one; with an unknown one among them it is ``other``.
    This orders licences, it is no legal advice: every single one keeps applying to what came from it.
    """
    found = {what: identifiers(text) or ["unknown"] for what, text in licenses.items()}
    top = max((rank(one) for many in found.values() for one in many), default=UNKNOWN)
    strictest = [what for what, many in found.items() if any(rank(one) == top for one in many)]
    names = {one for many in found.values() for one in many if rank(one) == top}
    known = top != UNKNOWN and len(names) == 1 and "-terms" not in next(iter(names))
    return Composed(names.pop() if known else "other", RANKS[top][0], strictest)
