"""Rows in memory that are read like a source's file (see polypref.sources.sampling.Read)."""

from collections.abc import Callable, Iterator


def reader(rows: list[dict]) -> Callable[..., Iterator[dict]]:
    """Return a function that reads rows, optionally only some columns or the rows chosen by a mask."""

    def read(columns=None, chosen=None):
        return (
            {name: row[name] for name in columns or row}
            for number, row in enumerate(rows)
            if chosen is None or chosen[number]
        )

    return read
