"""Ask: requests to a model, made from texts. The same inputs give the same rows in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from polypref.digests import digest, identity, request_id
from polypref.orders import ORDERS, drawn_order
from polypref.prompts import Messages, judge_messages, translation_messages, user
from polypref.splitting import split_text
from polypref.tables import canonical_json, require_same_ids


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


def ask_translations(
    items: Iterable[dict[str, Any]], field: str, asked: Asked, prompt: str, unit: str, language: str, language_name: str
) -> list[dict[str, Any]]:
    """Requests to translate one field of English items into a language, in pieces of a unit (see ``splitting``)."""
    rows = []
    for item in items:
        pieces = [
            (p.before, translation_messages(prompt, p.text, language_name) if p.text else None, p.after)
            for p in split_text(item[field], unit)
        ]
        rows += asked.rows({"item_id": item["item_id"], "language": language}, pieces)
    return rows


def ask_replies(items: Iterable[dict[str, Any]], asked: Asked, language: str) -> list[dict[str, Any]]:
    """Requests to reply to prompts: items have ``item_id`` and ``prompt``.

    An item whose prompt is empty (its translation failed) is left out: there is nothing to reply to.
    """
    rows = []
    for item in items:
        if item["prompt"].strip():
            item_rows = asked.rows({"item_id": item["item_id"], "language": language}, [("", user(item["prompt"]), "")])
            rows += item_rows
    return rows


def ask_verdicts(
    prompts: list[dict[str, Any]],
    policy: tuple[str, list[dict[str, Any]]],
    opponents: dict[str, list[dict[str, Any]]],
    asked: Asked,
    template: str,
    language_name: str,
    report: Callable[[str], None] = print,
    sampled: dict[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Requests to judge a policy's answers against each opponent's: both orders, or runs in one random order each.

    Parameters
    ----------
    prompts : rows in PROMPTS
    policy : (name, rows in TEXTS)
    opponents : {name: rows in TEXTS}
    sampled : ``runs`` and ``seed`` where every run is a reply of its own (a judge above temperature 0)

    Returns
    -------
    Rows in JUDGE_REQUESTS, ``request_id`` null where one of the answers is an error: there is nothing to judge.

    Raises
    ------
    TableError
        When answers and prompts do not have the same ids.
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
                    (run, drawn_order(sampled["seed"], item["item_id"], name, opponent, run))
                    for run in range(sampled["runs"])
                ]
            for sample, order in shown:
                first, second = (mine, theirs) if order == "policy_first" else (theirs, mine)
                messages = judge_messages(template, language_name, item["prompt"], first["text"], second["text"])
                for row in asked.rows(item, [("", None if faulty else messages, "")], sample):
                    rows.append(
                        {**row, "prompt_id": item["prompt_id"], "policy": name, "opponent": opponent, "order": order}
                    )
    skipped = sum(row["request_id"] is None for row in rows)
    if skipped:
        report(f"{skipped} of {len(rows)} judgements can't be asked: an answer is missing")
    return rows


def ask_second_judge(
    requests: Iterable[dict[str, Any]], asked: Asked, share: float = 1.0, seed: int = 1
) -> list[dict[str, Any]]:
    """The first judge's requests (rows in JUDGE_REQUESTS), asked of another: the same texts in the same order.

    With a ``share`` below 1 only for some source prompts, in all languages and for all policies the same ones.
    """
    rows = []
    for row in requests:
        if int(digest("second judge", seed, row["prompt_id"], length=8), 16) >= share * 16**8:
            continue
        kept = {name: row[name] for name in ("prompt_id", "policy", "opponent", "order")}
        messages = row["messages"] if row["request_id"] else None
        rows += [{**again, **kept} for again in asked.rows(row, [("", messages, "")], row["sample"])]
    return rows
