"""Findings of the preflight and how they are listed."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """``level``: wrong stops the run, doubt may go wrong, unchecked could not be looked at, fine was found right."""

    level: str
    what: str


def listing(findings: list[Finding]) -> str:
    """Findings as text, what is wrong last, where the eye falls."""
    order = {"fine": "  ok       ", "unchecked": "  unchecked", "doubt": "  DOUBT    ", "wrong": "  WRONG    "}
    ranks = list(order)
    return "\n".join(f"{order[f.level]}  {f.what}" for f in sorted(findings, key=lambda f: ranks.index(f.level)))
