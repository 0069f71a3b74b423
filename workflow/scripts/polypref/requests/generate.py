"""Ask for responses to the prompts of the base set, and for answers to the evaluation prompts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polypref.requests.asking import Asked
from polypref.requests.prompts import user


def ask_responses(items: Iterable[dict[str, Any]], asked: Asked, language: str) -> list[dict[str, Any]]:
    """Requests to reply to prompts: items have ``item_id`` and ``prompt``.

    An item whose prompt is empty (its translation failed) is left out: there is nothing to reply to.
    """
    rows = []
    for item in items:
        if item["prompt"].strip():
            item_rows = asked.rows({"item_id": item["item_id"], "language": language}, [("", user(item["prompt"]), "")])
            rows += item_rows
    return rows
