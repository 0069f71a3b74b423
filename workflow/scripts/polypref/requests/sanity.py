"""Sanity set of a judge: comparisons whose correct verdict is known.

An opponent's answer is compared with itself, which should be a tie, and with the same opponent's answer to another
prompt in the same language, which should lose. The set uses only opponents, so adding an architecture does not change
it.
"""

from __future__ import annotations

from typing import Any

from polypref.files.digests import digest
from polypref.requests.asking import RequestSettings
from polypref.requests.judge import ORDERS
from polypref.requests.prompts import judge_messages

Row = dict[str, Any]
ITSELF = "itself"
"""Value of the column ``policy`` if the answer is compared with itself."""
OTHER = "another prompt's answer"
"""Value of the column ``policy`` if the answer is compared with the same model's answer to another prompt."""


def sanity_pairs(
    prompts: list[Row], answers: dict[str, list[Row]], number: int, seed: int
) -> list[tuple[Row, str, str, str | None]]:
    """Sample prompts, and choose the answers to compare.

    Parameters
    ----------
    prompts : rows in PROMPTS of one language
    answers : {opponent: rows in TEXTS}
    number : maximum number of sampled prompts
    seed : seed of the sample; a larger ``number`` extends the sample of a smaller one

    Returns
    -------
    (prompt, opponent, its answer, its answer to another prompt, or None if all its other answers have the same text).
    Prompts whose answer is empty or an error are skipped.
    """
    ranked = sorted(prompts, key=lambda row: digest("sanity", seed, row["prompt_id"]))
    names, pairs = sorted(answers), []
    texts = {
        name: {row["item_id"]: row["text"] for row in answers[name] if not row["error"] and row["text"].strip()}
        for name in names
    }
    for place, prompt in enumerate(ranked):
        if len(pairs) == number:
            break
        name = names[place % len(names)]
        own = texts[name].get(prompt["item_id"])
        if own is None:
            continue
        later = ranked[place + 1 :] + ranked[:place]
        others = (texts[name].get(row["item_id"]) for row in later if row["prompt"].strip() != prompt["prompt"].strip())
        pairs.append((prompt, name, own, next((text for text in others if text and text.strip() != own.strip()), None)))
    return pairs


def ask_sanity(
    prompts: list[Row],
    answers: dict[str, list[Row]],
    settings: RequestSettings,
    template: str,
    language_name: str,
    number: int,
    seed: int = 1,
) -> list[Row]:
    """Build the requests of the sanity set; arguments as in :func:`sanity_pairs` and :func:`.ask_verdicts`.

    Returns
    -------
    Rows in JUDGE_REQUESTS in both orders: ``policy`` is `ITSELF` or `OTHER`, ``opponent`` is the model that answered.
    """
    rows = []
    for prompt, name, own, other in sanity_pairs(prompts, answers, number, seed):
        for kind, text in ((ITSELF, own), (OTHER, other)):
            for order in ORDERS if text is not None else ():
                shown = (own, text) if order == ORDERS[0] else (text, own)
                messages = judge_messages(template, language_name, prompt["prompt"], *shown)
                rows += [
                    {**row, "prompt_id": prompt["prompt_id"], "policy": kind, "opponent": name, "order": order}
                    for row in settings.rows(prompt, [("", messages, "")])
                ]
    return rows
