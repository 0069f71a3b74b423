"""What the tables need to know about answers: their lengths, languages and faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from polypref.evaluation.biases import ANSWER_FLAGS, detect_languages, flag_answers
from polypref.files import schemas
from polypref.files.result_tables import read_frames


def read_answers(paths: Iterable[str | Path], languages: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read answers, a few thousand texts at a time.

    Parameters
    ----------
    paths : files ``.../{model}/{language}.parquet`` of schema TEXTS.
    languages : see :func:`.detect_languages`.

    Returns
    -------
    One row per answer, with name (of the model), language, item_id, length in characters and detected (its language,
    see :func:`.detect_languages`); and the faults, as :func:`.flag_answers` lists them, sorted by flag.
    """
    answers, faults = [], []
    for path in paths:
        for texts in read_frames(path, schemas.TEXTS, ["language", "item_id", "text", "finish_reason"]):
            texts = texts.assign(name=Path(path).parent.name)
            detected = detect_languages(texts, languages)
            faults.append(flag_answers(texts, detected))
            lengths = texts["text"].str.len()
            answers.append(texts[["name", "language", "item_id"]].assign(length=lengths, detected=detected))
    listed = pd.concat(faults, ignore_index=True)
    order = listed["flag"].map({flag: number for number, flag in enumerate(ANSWER_FLAGS)})
    listed = listed.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    return pd.concat(answers, ignore_index=True), listed
