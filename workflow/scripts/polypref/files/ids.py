"""Ids of rows: indexing rows, comparing sets of ids, and naming a few of them in a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polypref.files.tables import TableError


def name_ids(ids: Iterable[object], most: int = 5) -> str:
    """Format ids for an error message: the first few in sorted order, and the number of the others."""
    ids = sorted(str(item) for item in ids)
    rest = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + rest


def by_id(rows: Iterable[dict[str, Any]], what: str, key: str = "item_id") -> dict[str, dict[str, Any]]:
    """Index rows by an id that must be unique.

    Raises
    ------
    TableError
        If an id occurs more than once; the message names the ids.
    """
    index: dict[str, dict[str, Any]] = {}
    duplicates = []
    for row in rows:
        if row[key] in index:
            duplicates.append(row[key])
        index[row[key]] = row
    if duplicates:
        raise TableError(f"{what}: {key} occurs more than once: {name_ids(duplicates)}")
    return index


def require_same_ids(expected: Iterable[str], given: Iterable[str], what: str) -> None:
    """Raise an error that names the missing and extra ids if two sets of ids differ."""
    expected, given = set(expected), set(given)
    missing, extra = sorted(expected - given), sorted(given - expected)
    if missing or extra:
        parts = [
            f"{len(ids)} {word} ({name_ids(ids)})" for word, ids in (("missing", missing), ("extra", extra)) if ids
        ]
        raise TableError(f"{what}: {' and '.join(parts)}. Delete the file and run again.")
