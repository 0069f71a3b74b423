"""Finding repeated ids among more rows than fit into memory."""

from __future__ import annotations

import sqlite3

from polypref.files.tables import TableError

CACHE = 16
"""MB of ids that are in memory."""


class FirstRows:
    """The row in which each id occurs first, in a temporary SQLite database that is deleted with the process.

    Ids are texts or signed integers of 64 bits.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # no name: a temporary file, used beyond the cache
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = {-1024 * CACHE}")
        self._database.execute("CREATE TABLE first (id PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, item: str | int, row: int) -> int | None:
        """Return the row in which an id was first, or None if this is the first.

        Raises
        ------
        TableError
            The disk is full.
        """
        try:
            new = self._database.execute("INSERT OR IGNORE INTO first VALUES (?, ?)", (item, row)).rowcount
        except sqlite3.OperationalError as error:
            raise TableError(
                f"the temporary file of ids can't be written ({error}). It needs about 30 bytes per row; set TMPDIR "
                "to a folder with more space."
            ) from error
        return None if new else self.find(item)

    def find(self, item: str | int) -> int | None:
        """Return the row in which an id was first, or None if it was not added."""
        found = self._database.execute("SELECT row FROM first WHERE id = ?", (item,)).fetchone()
        return found and found[0]
