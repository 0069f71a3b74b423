"""Data in pieces: files that a page opened from a folder can load, where a browser forbids it to fetch JSON.

A piece is a script of one call, ``polypref.piece(name, data);``, with nothing in it but JSON. Pages load a piece when
it is needed, so that they open as fast for 33,750 rows as for ten.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from polypref.files.tables import atomic_write

PIECE_BYTES = 200_000
"""Bytes from which on a piece is full; a single larger text makes a larger piece."""
SNIPPET = 140
"""Characters of a prompt in a list."""
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def to_json(value: Any) -> str:
    """JSON that is safe in a script and in HTML: no tag, comment or line separator of JavaScript can stand in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def snippet(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * SNIPPET].split())
    return line if len(line) <= SNIPPET and len(text) <= 4 * SNIPPET else f"{line[:SNIPPET]}…"


def write_piece(folder: Path, name: str, value: Any) -> None:
    """Write ``{name}.js``."""
    with atomic_write(folder / f"{name}.js", "w") as file:
        file.write(f'polypref.piece("{name}",{to_json(value)});\n')


def write_rows(folder: Path, name: str, rows: Iterable[Any]) -> list[int]:
    """Write rows as ``{name}-000.js``, ``{name}-001.js``, ... of about `PIECE_BYTES` each.

    Returns
    -------
    The number of the first row of each piece.
    """
    starts = []
    for start, texts in _split(to_json(row) for row in rows):
        piece = f"{name}-{len(starts):03d}"
        with atomic_write(folder / f"{piece}.js", "w") as file:
            file.write(f'polypref.piece("{piece}",[\n' + ",\n".join(texts) + "\n]);\n")
        starts.append(start)
    return starts


def _split(texts: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Consecutive rows by piece, with the number of the first."""
    start, held, size = 0, [], 0
    for number, text in enumerate(texts):
        if held and size + len(text) > PIECE_BYTES:
            yield start, held
            start, held, size = number, [], 0
        held.append(text)
        size += len(text.encode())
    if held:
        yield start, held


class Numbers:
    """Distinct values numbered in the order in which they come."""

    def __init__(self, values: Sequence[str] = ()):
        self._known = {value: number for number, value in enumerate(values)}

    def __call__(self, value: str) -> int:
        return self._known.setdefault(value, len(self._known))

    @property
    def values(self) -> list[str]:
        return list(self._known)
