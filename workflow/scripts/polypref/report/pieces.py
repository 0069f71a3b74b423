"""Split the data of a page into pieces: script files that a page opened from a local folder can load.

Browsers do not let such a page fetch JSON. A piece is therefore a script with a single call,
``polypref.piece(name, data);``, whose arguments are JSON. Pages load pieces on demand, so that they open as fast for
33,750 rows as for ten.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from polypref.files.tables import atomic_write

PIECE_BYTES = 200_000
"""Maximum size of a piece in bytes, unless a single row is larger."""
SNIPPET = 140
"""Maximum number of characters of a prompt in a list."""
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def to_json(value: Any) -> str:
    """Encode as JSON that is safe in scripts and HTML: without tags, comments or JavaScript line separators."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escape in _ESCAPES.items():  # many times faster than str.translate
        text = text.replace(character, escape)
    return text


def snippet(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 4 * SNIPPET].split())
    return line if len(line) <= SNIPPET and len(text) <= 4 * SNIPPET else f"{line[:SNIPPET]}…"


def write_piece(folder: Path, name: str, value: Any) -> None:
    """Write a value as ``{name}.js``."""
    with atomic_write(folder / f"{name}.js", "w") as file:
        file.write(f'polypref.piece("{name}",{to_json(value)});\n')


def write_rows(folder: Path, name: str, rows: Iterable[Any]) -> list[int]:
    """Write rows as ``{name}-000.js``, ``{name}-001.js``, ... of about `PIECE_BYTES` each.

    Returns
    -------
    The index of the first row of each piece.
    """
    starts = []
    for start, texts in _split(to_json(row) for row in rows):
        piece = f"{name}-{len(starts):03d}"
        with atomic_write(folder / f"{piece}.js", "w") as file:
            file.write(f'polypref.piece("{piece}",[\n' + ",\n".join(texts) + "\n]);\n")
        starts.append(start)
    return starts


def _split(texts: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Divide consecutive rows into pieces, each with the index of its first row."""
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
    """Assign numbers to distinct values in order of first occurrence."""

    def __init__(self, values: Sequence[str] = ()):
        self._known = {value: number for number, value in enumerate(values)}

    def __call__(self, value: str) -> int:
        return self._known.setdefault(value, len(self._known))

    @property
    def values(self) -> list[str]:
        return list(self._known)
