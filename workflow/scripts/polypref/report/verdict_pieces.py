"""Write the data of the verdict browser: all judged pairs of answers, with verdicts and raw replies in both orders.

``verdicts-LANGUAGE`` has a row for each prompt, policy, opponent and judge, and the length (in characters) and faults
of each answer. Each ``answers-LANGUAGE-NNN`` contains the texts of some prompts and all models' answers to them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from polypref.evaluation.biases import ANSWER_FLAGS
from polypref.evaluation.win_rates import ORDERS
from polypref.files.conversations import to_transcript
from polypref.files.result_tables import is_error
from polypref.report.pieces import Numbers, snippet, write_piece, write_rows
from polypref.report.verdict_files import Judgements

VERDICTS = ("policy", "opponent", "tie", "unparsed", "error")
"""Verdicts are stored as indices into this tuple, or as null if the pair was not judged in an order."""


def write_verdicts(folder: Path, judgements: Judgements, flagged: pd.DataFrame, languages: Sequence[str]) -> None:
    """Write the verdict browser's pieces.

    Parameters
    ----------
    judgements : files of prompts, answers and verdicts.
    flagged : table answer_flags.
    languages : ISO 639-1 codes.
    """
    names = list(judgements.answers)
    for language in languages:
        asked = judgements.prompts_of(language)
        asked = asked.assign(prompt=asked["prompt"].map(to_transcript))
        faults = flagged[flagged["item_id"].isin(asked["item_id"])]
        texts = {}
        for name in names:
            frame = judgements.answers_of(name, language)
            own = faults[faults["name"].eq(name)].groupby("item_id")["flag"].agg(set).to_dict()
            texts[name] = dict(zip(frame["item_id"], _answers(frame, own), strict=True))
        given = [[texts[name].get(item) for name in names] for item in asked["item_id"]]
        rows = ([row.prompt, row.reference, [answer and answer[:2] for answer in own]]
                for row, own in zip(asked.itertuples(), given, strict=True))  # fmt: skip
        signs = {"lengths": [[answer and len(answer[0]) for answer in own] for own in given],
                 "flags": [[answer and answer[2] for answer in own] for own in given]}  # fmt: skip
        starts = write_rows(folder, f"answers-{language}", rows)
        index = _index(judgements.verdicts_of(language), asked)
        write_piece(folder, f"verdicts-{language}", {"names": names, "starts": starts, **signs, **index})


def _answers(frame: pd.DataFrame, flags: Mapping[str, set[str]]) -> list[tuple[str, str, int]]:
    """Return text, note and flags of each answer; the note is an error, its faults or empty.

    ``flags`` maps item_id to flags; those returned are bits, in the order of `ANSWER_FLAGS`.
    """
    found = []
    for row, failed in zip(frame.itertuples(), is_error(frame["error"]), strict=True):
        own = [flag for flag in ANSWER_FLAGS if flag in flags.get(row.item_id, ())]
        note = f"no answer: {row.error}" if failed else ", ".join(_NOTES[flag] for flag in own)
        found.append((row.text, note, sum(1 << ANSWER_FLAGS.index(flag) for flag in own)))
    return found


_NOTES = {
    "wrong_language": "in another language", "truncated": "truncated at the maximum length", "repeats": "repeats itself"
}  # fmt: skip


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
