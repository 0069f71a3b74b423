"""Artifact: a file's own requests joined with the completions of their batch, by ``request_id``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from polypref.splitting import join_pieces
from polypref.tables import TableError

_JUDGED = ("item_id", "prompt_id", "language", "policy", "opponent", "order", "sample")
LABELS = ("A", "B", "TIE")
_PROVENANCE = ("model", "checkpoint", "revision", "decoding")


def answers_for(
    requests: Iterable[dict[str, Any]], completions: dict[str, dict[str, Any]], what: str
) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Pair each request with its completion; None for a part that needed none.

    Raises
    ------
    TableError
        When a request has no completion: the batch was made from other requests.
    """
    pairs, missing = [], 0
    for request in requests:
        key = request["request_id"]
        completion = completions.get(key) if key else None
        missing += bool(key) and completion is None
        pairs.append((request, completion))
    if missing:
        raise TableError(
            f"{what}: {missing} requests have no completion. Delete the file of completions and run again."
        )
    return pairs


def collect_texts(
    requests: list[dict[str, Any]], completions: dict[str, dict[str, Any]], what: str, may_be_empty: bool = False
) -> list[dict[str, Any]]:
    """One row per item in schema TEXTS, from the parts that it was asked in.

    A text is whole or it is an error: when one part could not be answered, the row has empty text and the reason. An
    empty text is an error too, but for the answers that are judged (``may_be_empty``): there it is a bad answer.
    """
    rows = []
    pairs = answers_for(requests, completions, what)
    for item_id, group in groupby(pairs, key=lambda pair: pair[0]["item_id"]):
        parts = list(group)
        answered = [completion for _, completion in parts if completion is not None]
        error = next((c["error"] for c in answered if c["error"]), None)
        first = parts[0][0]
        text = join_pieces([(r["before"], c["text"] if c else "", r["after"]) for r, c in parts])
        if error is None and not may_be_empty and answered and not any(c["text"].strip() for c in answered):
            error = "the answer is empty"
        cut = any(c["finish_reason"] == "length" for c in answered)
        rows.append(
            {
                "item_id": item_id,
                "language": first["language"],
                "text": "" if error else text,
                "finish_reason": "error" if error else "length" if cut else "stop",
                "prompt_tokens": sum(c["prompt_tokens"] for c in answered),
                "completion_tokens": sum(c["completion_tokens"] for c in answered),
                "error": error,
                **{name: first[name] for name in _PROVENANCE},
            }
        )
    return rows


def parse_verdict(reply: str, order: str) -> str:
    """Who won by a judge's reply: ``policy``, ``opponent``, ``tie``, or empty when the reply is no verdict.

    Constrained decoding gives exactly A, B or TIE. Free text of another judge counts when it is one of these words
    alone, in any case and with punctuation or brackets around it; anything longer is unparsed, never guessed.
    """
    label = reply.strip().strip("[](){}<>\"'`*.:,! \n").upper()
    if label == "TIE":
        return "tie"
    if label not in ("A", "B"):
        return ""
    return "policy" if (label == "A") == (order == "policy_first") else "opponent"


def collect_verdicts(
    requests: list[dict[str, Any]], completions: dict[str, dict[str, Any]], what: str
) -> list[dict[str, Any]]:
    """One row per judgement in schema VERDICTS."""
    rows = []
    for request, completion in answers_for(requests, completions, what):
        error = completion["error"] if completion else "an answer is missing"
        reply = completion["text"] if completion and not error else ""
        verdict = parse_verdict(reply, request["order"]) if not error else ""
        rows.append(
            {
                **{key: request[key] for key in _JUDGED},
                "reply": reply,
                "verdict": verdict,
                "status": "error" if error else "parsed" if verdict else "unparsed",
                "logprobs": completion["logprobs"] if completion else None,
                "prompt_tokens": completion["prompt_tokens"] if completion else 0,
                "completion_tokens": completion["completion_tokens"] if completion else 0,
                "error": error,
                **{name: request[name] for name in _PROVENANCE},
            }
        )
    return rows


def provenance(row: dict[str, Any]) -> str:
    """Where a text comes from, as JSON: model, checkpoint, revision and decoding of a row in TEXTS."""
    return json.dumps(
        {**{name: row[name] for name in _PROVENANCE[:3]}, "decoding": json.loads(row["decoding"])}, ensure_ascii=False
    )
