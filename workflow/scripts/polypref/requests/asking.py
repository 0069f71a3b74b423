"""The model that requests go to, and the rows of a request file: the same inputs give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polypref.files.digests import identity, request_id
from polypref.files.tables import canonical_json
from polypref.requests.prompts import Messages


@dataclass(frozen=True)
class Asked:
    """The model that requests go to, as rules hand it to scripts: all that determines an answer but the messages.

    ``path`` and ``revision`` are the checkpoint's; ``local`` says that the revision is a digest of its content.
    ``decoding`` holds only the parameters that are set. ``source_code``/``target_code`` of a seq2seq model are in it.
    """

    model: str
    path: str
    revision: str | None
    local: bool
    decoding: dict[str, Any]
    dtype: str = "auto"
    chat_template: str | None = None

    def rows(
        self, item: dict[str, Any], pieces: Iterable[tuple[str, Messages | None, str]], sample: int = 0
    ) -> list[dict[str, Any]]:
        """Request rows of one item from (before, messages or None, after); ``sample`` counts draws of the same text."""
        who = identity(self.path, self.revision, self.local, self.dtype, self.chat_template)
        decoding = canonical_json(self.decoding)
        return [
            {
                "request_id": request_id(who, messages, self.decoding, sample) if messages else None,
                "item_id": item["item_id"],
                "language": item["language"],
                "model": self.model,
                "part": part,
                "messages": messages or [],
                "decoding": decoding,
                "sample": sample,
                "checkpoint": self.path,
                "revision": self.revision,
                "before": before,
                "after": after,
            }
            for part, (before, messages, after) in enumerate(pieces)
        ]


def read_weights(params: dict[str, Any], identity: Sequence[str]) -> tuple[str, str | None]:
    """Path and Hub revision of a checkpoint, as ``from_pretrained`` takes them; a local folder has no revision."""
    if identity:
        return json.loads(Path(identity[0]).read_text(encoding="utf-8"))["path"], None
    return params["path"], params["revision"]


def read_asked(params: dict[str, Any], identity: Sequence[str]) -> Asked:
    """The model that requests go to: a rule's params, with path and digest of a local checkpoint from its file."""
    asked = dict(params)
    if identity:
        found = json.loads(Path(identity[0]).read_text(encoding="utf-8"))
        asked |= {"path": found["path"], "revision": found["revision"], "local": True}
    return Asked(**asked)
