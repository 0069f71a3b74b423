"""Build data sets: for each architecture, one preference pair or dropped row per English pair and language."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from polypref.config.diagnostics import EQUAL
from polypref.datasets.dropping import reason_to_drop
from polypref.files.conversations import to_messages, to_transcript
from polypref.files.schemas import FIELDS
from polypref.files.tables import TableError, by_id
from polypref.requests.collect import provenance
from polypref.sources.dropping import dropped_row

Row = dict[str, Any]
ORIGINAL = json.dumps({"model": "source"})
NATIVE = json.dumps({"model": "native"})
"""Provenance of a prompt that was written in the language."""


def build_dataset(
    pairs: list[Row],
    texts: dict[str, dict[str, list[Row] | None]],
    drop: Sequence[str] = (EQUAL,),
    flags: dict[tuple[str, str], list[str]] | None = None,
    native: Collection[str] = (),
) -> tuple[list[Row], list[Row]]:
    """Join the fields of an architecture on ``item_id``.

    Parameters
    ----------
    pairs : rows in PAIRS
    texts : {language: {field: rows in TEXTS, or None for the English original}}
    drop : flags for which a pair is dropped; a pair with an error is always dropped
    flags : {(item_id, language): flags of the pair}, needed for flags other than ``chosen_equals_rejected``
    native : languages whose prompts were written in the language

    Returns
    -------
    Rows in DATASET sorted by language and ``item_id``, and rows in DROPPED. Each pair in each language is in one list.

    Raises
    ------
    TableError
        A file of texts has an id that is in no pair, or lacks an id.
    """
    base = by_id(pairs, "the base set")
    kept: list[Row] = []
    dropped: list[Row] = []
    for language in sorted(texts):
        fields = {name: _by_item(rows, base, f"{name} in {language}") for name, rows in texts[language].items()}
        for item_id in sorted(base):
            pair = base[item_id]
            row, error = _join(pair, language, {name: fields[name].get(item_id) for name in FIELDS})
            if row and language in native:
                row["prompt_provenance"] = NATIVE
            reason = reason_to_drop(row, error, drop, (flags or {}).get((item_id, language), []))
            if reason:
                dropped.append(dropped_row(pair, *reason, language))
            else:
                kept.append(row)
    return kept, dropped


def _by_item(rows: list[Row] | None, base: dict[str, Row], what: str) -> dict[str, Row]:
    if rows is None:
        return {item_id: {"text": None, "error": None} for item_id in base}
    found = by_id(rows, what)
    extra = sorted(set(found) - set(base))
    if extra:
        raise TableError(f"{what}: item_id {extra[0]} is in no pair of the base set. Delete the file and run again.")
    return found


def _join(pair: Row, language: str, found: dict[str, Row | None]) -> tuple[Row | None, str]:
    """Join the fields to a row in DATASET, or return None and the reason for dropping the pair."""
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name in FIELDS:
        row = found[name]
        if row is None:  # without a prompt there was no request, but then the prompt's error was returned above
            raise TableError(
                f"{name} in {language}: there is no row for item_id {pair['item_id']}. Delete the file and run again."
            )
        if row["error"]:
            return None, f"{name}: {row['error']}"
        values[name] = pair[name] if row["text"] is None else row["text"]
        sources[f"{name}_provenance"] = ORIGINAL if row["text"] is None else provenance(row)
    asked = to_messages(values["prompt"])
    messages = {
        "prompt_messages": asked,
        **{f"{name}_messages": [*asked, {"role": "assistant", "content": values[name]}] for name in FIELDS[1:]},
    }
    values["prompt"] = to_transcript(values["prompt"])
    head = {"item_id": pair["item_id"], "language": language, "source": pair["source"], "task": pair["task"]}
    return {**head, **values, **messages, **sources}, ""
