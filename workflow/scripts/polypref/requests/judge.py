"""Building a judge's requests, which compare two answers in both orders, and parsing the verdicts in its replies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from polypref.files.digests import fraction
from polypref.files.ids import require_same_ids
from polypref.requests.asking import RequestSettings
from polypref.requests.collect import PROVENANCE, completions_for
from polypref.requests.prompts import judge_messages
from polypref.requests.reasoning import after_reasoning
from polypref.requests.verdict_parsers import PARSERS

ORDERS = ("policy_first", "opponent_first")
"""The two orders in which a pair of answers is shown to a judge."""
LABELS = ("A", "B", "TIE")
_JUDGED = ("item_id", "prompt_id", "language", "policy", "opponent", "order", "sample")


def random_order(seed: int, item_id: str, policy: str, opponent: str, run: int) -> str:
    """Choose the order of a pair in a random-order run; it is derived from a digest of the arguments only."""
    key = "\x1f".join((str(seed), item_id, policy, opponent, str(run)))
    return ORDERS[hashlib.sha256(key.encode()).digest()[0] & 1]


def ask_verdicts(
    prompts: list[dict[str, Any]],
    policy: tuple[str, list[dict[str, Any]]],
    opponents: dict[str, list[dict[str, Any]]],
    settings: RequestSettings,
    template: str,
    language_name: str,
    report: Callable[[str], None] = print,
    sampled: dict[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Build requests to compare a policy's answers with each opponent's, in both orders or in runs of random order.

    Parameters
    ----------
    prompts : rows in PROMPTS
    policy : (name, rows in TEXTS)
    opponents : {name: rows in TEXTS}
    sampled : ``runs`` and ``seed`` for a judge above temperature 0, which replies once per run, each in a random order

    Returns
    -------
    Rows in JUDGE_REQUESTS; ``request_id`` is null if one of the two answers is an error.

    Raises
    ------
    TableError
        Answers and prompts do not have the same ids.
    """
    name, own = policy
    tables = {who: {row["item_id"]: row for row in rows} for who, rows in [(name, own), *sorted(opponents.items())]}
    for who, table in tables.items():
        require_same_ids([p["item_id"] for p in prompts], table, f"answers of {who}")
    rows = []
    for opponent in sorted(opponents):
        for item in prompts:
            mine, theirs = tables[name][item["item_id"]], tables[opponent][item["item_id"]]
            faulty = mine["error"] or theirs["error"]
            shown = [(0, order) for order in ORDERS]
            if sampled:
                shown = [
                    (run, random_order(sampled["seed"], item["item_id"], name, opponent, run))
                    for run in range(sampled["runs"])
                ]
            for sample, order in shown:
                first, second = (mine, theirs) if order == "policy_first" else (theirs, mine)
                messages = judge_messages(template, language_name, item["prompt"], first["text"], second["text"])
                for row in settings.rows(item, [("", None if faulty else messages, "")], sample):
                    rows.append(
                        {**row, "prompt_id": item["prompt_id"], "policy": name, "opponent": opponent, "order": order}
                    )
    skipped = sum(row["request_id"] is None for row in rows)
    if skipped:
        report(f"{skipped} of {len(rows)} judgements are not requested, because an answer is missing")
    return rows


def ask_second_judge(
    requests: Iterable[dict[str, Any]], settings: RequestSettings, share: float = 1.0, seed: int = 1
) -> list[dict[str, Any]]:
    """Build a second judge's requests from the first judge's (rows in JUDGE_REQUESTS), with the same texts and order.

    A ``share`` below 1 selects a subset of the source prompts, which is the same for all languages and policies.
    """
    rows = []
    for row in requests:
        if fraction("second judge", seed, row["prompt_id"]) >= share:
            continue
        kept = {name: row[name] for name in ("prompt_id", "policy", "opponent", "order")}
        messages = row["messages"] if row["request_id"] else None
        rows += [{**again, **kept} for again in settings.rows(row, [("", messages, "")], row["sample"])]
    return rows


def parse_verdict(reply: str, order: str, parser: str = "label") -> str:
    """Return the winner in a judge's reply: ``policy``, ``opponent``, ``tie``, or an empty string if unparsed.

    ``parser`` is the name of a parser in :data:`polypref.requests.verdict_parsers.PARSERS`. It parses the text after
    any reasoning in tags. If there is no label, the verdict is unparsed and never guessed.
    """
    label = PARSERS[parser](after_reasoning(reply))
    if label in ("", "TIE"):
        return label.lower()
    return "policy" if (label == "A") == (order == "policy_first") else "opponent"


def collect_verdicts(
    requests: list[dict[str, Any]], completions: dict[str, dict[str, Any]], what: str, parser: str = "label"
) -> list[dict[str, Any]]:
    """Return one row per judgement in schema VERDICTS."""
    rows = []
    for request, completion in completions_for(requests, completions, what):
        error = completion["error"] if completion else "an answer is missing"
        reply = completion["text"] if completion and not error else ""
        verdict = parse_verdict(reply, request["order"], parser) if not error else ""
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
                **{name: request[name] for name in PROVENANCE},
            }
        )
    return rows
