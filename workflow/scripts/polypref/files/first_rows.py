"""Finding repeated ids among more rows than fit into memory."""

from __future__ import annotations

import sqlite3

CACHE = 16
"""MB of ids that are in memory."""


class FirstRows:
    """The row in which each id occurs first, in a temporary SQLite database that is deleted with the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # no name: a temporary file, used beyond the cache
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = {-1024 * CACHE}")
        self._database.execute("CREATE TABLE first (id TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, item: str, row: int) -> int | None:
        """Return the row in which an id was first, or None if this is the first."""
        if self._database.execute("INSERT OR IGNORE INTO first VALUES (?, ?)", (item, row)).rowcount:
            return None
        return self._database.execute("SELECT row FROM first WHERE id = ?", (item,)).fetchone()[0]
