"""Findings of the preflight, and their listing."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One finding. ``level``: error (the run stops), warning (it may fail), unchecked (no check was possible), ok."""

    level: str
    what: str


def listing(findings: list[Finding]) -> str:
    """Format findings as text; the errors come last, where a reader of the terminal sees them first."""
    labels = {"ok": "  ok       ", "unchecked": "  unchecked", "warning": "  WARNING  ", "error": "  ERROR    "}
    ranks = list(labels)
    return "\n".join(f"{labels[f.level]}  {f.what}" for f in sorted(findings, key=lambda f: ranks.index(f.level)))
