"""Digests: ids of pairs and requests, and seeds that do not depend on the order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from polypref.files.tables import canonical_json


def digest(*parts: Any, length: int = 16) -> str:
    """Hexadecimal SHA-256 of JSON-like values, cut to ``length`` digits.

    It covers the canonical JSON of the list of parts, so ``digest("ab", "c")`` and ``digest("a", "bc")`` differ.
    """
    return digest_of_text([canonical_json(list(parts))], length)


def digest_of_text(pieces: Iterable[str], length: int = 16) -> str:
    """Hexadecimal SHA-256 of a text that is given in pieces, cut to ``length`` digits."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece.encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:length]


def pair_id(source: str, prompt: str, chosen: str, rejected: str) -> str:
    """The ``item_id`` of an English preference pair, which is the join key of all later tables."""
    return digest("pair", source, prompt, chosen, rejected)


def identity(
    path: str, revision: str | None, local: bool, dtype: str = "auto", chat_template: str | None = None
) -> str:
    """Identify a checkpoint: by its content if it is a local folder, by repository and commit if it is on the Hub."""
    name = f"sha256:{revision}" if local else f"{path}@{revision or 'main'}"
    parts = [name, *([dtype] if dtype != "auto" else []), *([digest(chat_template)] if chat_template else [])]
    return ":".join(parts)


def request_id(
    checkpoint_identity: str, messages: list[dict[str, str]], decoding: dict[str, Any], sample: int = 0
) -> str:
    """The id of a request: a digest of everything that determines its completion, as 32 hexadecimal digits."""
    return digest("request", checkpoint_identity, messages, decoding, sample, length=32)


def fraction(*parts: Any) -> float:
    """Return a number in [0, 1) that is determined by the digest of some values, to choose a share of many items."""
    return int(digest(*parts, length=8), 16) / 16**8


def seed_of(request: str) -> int:
    """Seed of a sampled request in [0, 2**31), derived from its id so that it is the same in every batch and order."""
    return int(request[:8], 16) & 0x7FFFFFFF
