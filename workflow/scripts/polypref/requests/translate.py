"""Building translation requests for the base set and WMT24++, one request per unit of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polypref.requests.asking import RequestSettings
from polypref.requests.prompts import translation_messages
from polypref.requests.splitting import split_prompt


def ask_translations(
    items: Iterable[dict[str, Any]],
    field: str,
    settings: RequestSettings,
    prompt: str,
    unit: str,
    language: str,
    language_name: str,
) -> list[dict[str, Any]]:
    """Build requests to translate one field of English items, split into units (see ``splitting``).

    A conversation is translated message by message.
    """
    rows = []
    for item in items:
        pieces = [
            (p.before, translation_messages(prompt, p.text, language_name) if p.text else None, p.after)
            for p in split_prompt(item[field], unit)
        ]
        rows += settings.rows({"item_id": item["item_id"], "language": language}, pieces)
    return rows
