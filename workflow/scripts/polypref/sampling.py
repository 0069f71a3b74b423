"""The seeded sample of the base set: stable under growth, even over the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from polypref.digests import digest

Row = dict[str, Any]
CountTokens = Callable[[str, str], int]
"""Tokens of (prompt, response) as the trainee's chat template renders them."""


def sample_pairs(
    sources: dict[str, list[Row]], items: int, seed: int, max_tokens: int, count: CountTokens
) -> tuple[list[Row], list[Row]]:
    """Draw pairs evenly over the sources.

    Every source is put in an order that depends on the seed and each pair's ``item_id`` alone; then the sources take
    turns, each giving its next pair whose prompt was not drawn yet and that is short enough, until ``items`` are
    drawn or nothing is left. So a larger sample contains every smaller one, and a source that is too small is made up
    for by the others.

    Parameters
    ----------
    sources : {name: rows in PAIRS}
    items : pairs wanted
    max_tokens : longest prompt plus longer response
    count : tokens of a prompt and a response

    Returns
    -------
    Rows in PAIRS in the order of ``item_id``, and rows in DROPPED for the rest: each pair is in one of them.
    """
    drawn: list[Row] = []
    dropped: list[Row] = []
    prompts: dict[str, str] = {}
    turns = {name: _candidates(rows, seed, max_tokens, count, prompts, dropped) for name, rows in sources.items()}
    order = sorted(turns)
    while order and len(drawn) < items:
        for name in list(order):
            if len(drawn) == items:
                break
            pair = next(turns[name], None)
            if pair is None:
                order.remove(name)
            else:
                drawn.append(pair)
    settled = {row["item_id"] for row in [*drawn, *dropped]}
    for rows in sources.values():
        dropped += [left_out(row, "sample", "not drawn") for row in rows if row["item_id"] not in settled]
    return sorted(drawn, key=lambda row: row["item_id"]), sorted(dropped, key=lambda r: (r["source"], r["row"]))


def _candidates(
    rows: list[Row], seed: int, max_tokens: int, count: CountTokens, prompts: dict[str, str], dropped: list[Row]
) -> Iterator[Row]:
    """A source's pairs in their drawing order; what is passed over goes to ``dropped``."""
    for row in sorted(rows, key=lambda row: digest(seed, row["item_id"])):
        key = prompt_key(row["prompt"])
        if key in prompts:
            dropped.append(left_out(row, "deduplicate", f"the same prompt as {prompts[key]}"))
            continue
        tokens = max(count(row["prompt"], row["chosen"]), count(row["prompt"], row["rejected"]))
        if tokens > max_tokens:
            dropped.append(left_out(row, "length", f"{tokens} tokens, more than {max_tokens}"))
            continue
        prompts[key] = row["item_id"]
        yield row


def prompt_key(prompt: str) -> str:
    """What two prompts that count as the same have in common: words without case and white space."""
    return digest(" ".join(prompt.casefold().split()))


def left_out(row: Row, step: str, reason: str, language: str = "en") -> Row:
    """A pair as a row in DROPPED."""
    kept = {name: row[name] for name in ("source", "row", "item_id")}
    return {**kept, "language": language, "step": step, "reason": reason}


def token_counter(tokenizer: Any) -> CountTokens:
    """Count tokens with a Hugging Face tokenizer and its chat template."""

    def count(prompt: str, response: str) -> int:
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    return count
