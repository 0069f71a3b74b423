"""Building requests for responses to the prompts of the base set, and for answers to the evaluation prompts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polypref.requests.asking import RequestSettings
from polypref.requests.prompts import user


def ask_responses(items: Iterable[dict[str, Any]], settings: RequestSettings, language: str) -> list[dict[str, Any]]:
    """Build one request per prompt; items have ``item_id`` and ``prompt``.

    An item is skipped if its prompt is empty, which means that the translation of the prompt failed.
    """
    rows = []
    for item in items:
        if item["prompt"].strip():
            unit = [("", user(item["prompt"]), "")]
            rows += settings.rows({"item_id": item["item_id"], "language": language}, unit)
    return rows
