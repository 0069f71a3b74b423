"""What more than one script reads in the same way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from polypref.asking import Asked
from polypref.schemas import COMPLETIONS, TEXTS
from polypref.tables import read_rows, read_table


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


def read_fields(fields: dict[str, dict[str, str | None]]) -> dict[str, dict[str, list[dict[str, Any]] | None]]:
    """The texts that an architecture is joined from: {language: {field: rows in TEXTS, None for the original}}."""
    return {
        language: {field: read_rows(path, TEXTS) if path else None for field, path in files.items()}
        for language, files in fields.items()
    }


def read_completions(path: str, requests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The completions of some requests, by ``request_id``, out of those of a whole batch."""
    wanted = {row["request_id"] for row in requests if row["request_id"]}
    table = read_table(path, COMPLETIONS)
    mine = table.filter(pc.is_in(table["request_id"], pa.array(sorted(wanted), pa.string())))
    return {row["request_id"]: row for row in mine.to_pylist()}
