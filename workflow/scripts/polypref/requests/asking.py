"""Building the rows of a request file for one model; the same inputs always give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polypref.files.conversations import Messages
from polypref.files.digests import identity, request_id
from polypref.files.tables import canonical_json


@dataclass(frozen=True)
class RequestSettings:
    """Settings of the requests to a model, as rules pass them to scripts: what affects completions except the messages.

    ``path`` and ``revision`` identify the checkpoint; if ``local`` is true, the revision is a digest of its content.
    ``decoding`` contains the parameters that are set, with ``source_code`` and ``target_code`` of a seq2seq model.
    ``system_role`` says whether the model takes system messages: ``keep``, ``merge`` or None (see the registry).
    """

    model: str
    path: str
    revision: str | None
    local: bool
    decoding: dict[str, Any]
    dtype: str = "auto"
    chat_template: str | None = None
    system_role: str | None = None

    def rows(
        self, item: dict[str, Any], pieces: Iterable[tuple[str, Messages | None, str]], sample: int = 0
    ) -> list[dict[str, Any]]:
        """Build an item's request rows from (before, messages or None, after); ``sample`` numbers repeated runs."""
        model = identity(self.path, self.revision, self.local, self.dtype, self.chat_template)
        decoding = canonical_json(self.decoding)
        return [
            {
                "request_id": request_id(model, messages, self.decoding, sample) if messages else None,
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
    """Return the path and Hub revision of a checkpoint for ``from_pretrained``; a local folder has no revision."""
    if identity:
        return json.loads(Path(identity[0]).read_text(encoding="utf-8"))["path"], None
    return params["path"], params["revision"]


def read_request_settings(params: dict[str, Any], identity: Sequence[str]) -> RequestSettings:
    """Build the settings from a rule's params and, for a local checkpoint, the file with its path and digest."""
    fields = dict(params)
    if identity:
        found = json.loads(Path(identity[0]).read_text(encoding="utf-8"))
        fields |= {"path": found["path"], "revision": found["revision"], "local": True}
    return RequestSettings(**fields)
