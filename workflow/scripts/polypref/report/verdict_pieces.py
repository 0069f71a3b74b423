"""Write the data of the verdict browser: all judged pairs of answers, with verdicts and raw replies in both orders.

``verdicts-LANGUAGE`` has a row for each prompt, policy, opponent and judge. Each ``answers-LANGUAGE-NNN`` contains the
texts of some prompts and all models' answers to them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from polypref.evaluation.win_rates import ORDERS
from polypref.files.result_tables import is_error
from polypref.report.pieces import Numbers, snippet, write_piece, write_rows

VERDICTS = ("policy", "opponent", "tie", "unparsed", "error")
"""Verdicts are stored as indices into this tuple, or as null if the pair was not judged in an order."""


def write_verdicts(
    folder: Path,
    verdicts: pd.DataFrame,
    prompts: pd.DataFrame,
    answers: Mapping[str, pd.DataFrame],
    languages: Sequence[str],
) -> None:
    """Write the verdict browser's pieces.

    Parameters
    ----------
    verdicts : schema VERDICTS; ``model`` is the judge.
    prompts : schema PROMPTS.
    answers : policy or opponent to schema TEXTS, for all languages.
    languages : ISO 639-1 codes.
    """
    names = list(answers)
    texts = {name: dict(zip(frame["item_id"], _answers(frame), strict=True)) for name, frame in answers.items()}
    for language in languages:
        asked = prompts[prompts["language"].eq(language)]
        rows = ([row.prompt, row.reference, [texts[name].get(row.item_id) for name in names]]
                for row in asked.itertuples())  # fmt: skip
        starts = write_rows(folder, f"answers-{language}", rows)
        here = verdicts[verdicts["language"].eq(language)]
        write_piece(folder, f"verdicts-{language}", {"names": names, "starts": starts, **_index(here, asked)})


def _answers(frame: pd.DataFrame) -> list[list[str]]:
    """Return [text, note] for each answer; the note is an error, a truncation or empty."""
    failed = is_error(frame["error"])
    return [
        [row.text, f"no answer: {row.error}" if error else _NOTES.get(row.finish_reason, "")]
        for row, error in zip(frame.itertuples(), failed, strict=True)
    ]


_NOTES = {"length": "truncated at the maximum length"}


def _index(verdicts: pd.DataFrame, prompts: pd.DataFrame) -> dict[str, Any]:
    """List the prompts, and per judged pair the prompt, policy, opponent, judge, and each order's verdict and reply."""
    place = {item: number for number, item in enumerate(prompts["item_id"])}
    replies, judges, policies, opponents = Numbers(), Numbers(), Numbers(), Numbers()
    failed = is_error(verdicts["error"])
    rows: dict[tuple[int, ...], list[int | None]] = {}
    for row, error in zip(verdicts.itertuples(), failed, strict=True):
        key = (place[row.item_id], policies(row.policy), opponents(row.opponent), judges(row.model))
        at = 2 * ORDERS.index(row.order)
        verdict = VERDICTS.index(row.verdict if row.status == "parsed" else row.status)
        rows.setdefault(key, [None] * 4)[at : at + 2] = verdict, replies(row.error if error else row.reply)
    return {
        "prompts": [[row.item_id, row.prompt_id, row.config, snippet(row.prompt)] for row in prompts.itertuples()],
        "policies": policies.values,
        "opponents": opponents.values,
        "judges": judges.values,
        "replies": replies.values,
        "rows": [[*key, *orders] for key, orders in sorted(rows.items())],
    }
