"""Findings of the preflight, and their listing."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One finding. ``level``: wrong (the run stops), doubt (it may fail), unchecked (no check was possible), fine."""

    level: str
    what: str


def listing(findings: list[Finding]) -> str:
    """Format findings as text; the errors come last, where a reader of the terminal sees them first."""
    labels = {"fine": "  ok       ", "unchecked": "  unchecked", "doubt": "  DOUBT    ", "wrong": "  WRONG    "}
    ranks = list(labels)
    return "\n".join(f"{labels[f.level]}  {f.what}" for f in sorted(findings, key=lambda f: ranks.index(f.level)))
