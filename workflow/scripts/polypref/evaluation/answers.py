"""What the tables need to know about answers: their lengths, languages and faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from polypref.evaluation.biases import ANSWER_FLAGS, detect_languages, flag_answers
from polypref.files import schemas
from polypref.files.result_tables import Categories, read_frames


def read_lengths(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read the lengths of answers, a few thousand texts at a time.

    Parameters
    ----------
    paths : files ``.../{model}/{language}.parquet`` of schema TEXTS.

    Returns
    -------
    One row per answer: name (of the model), item_id and length in characters.
    """
    names, items, lengths = Categories(), Categories(), [np.empty(0, np.int32)]
    for texts in _read(paths, ["item_id", "text"]):
        names.add(pa.array(texts["name"]))
        items.add(pa.array(texts["item_id"]))
        lengths.append(texts["text"].str.len().to_numpy(np.int32))
    columns = {"name": names.column(), "item_id": items.column(), "length": np.concatenate(lengths)}
    return pd.DataFrame(columns, copy=False)


def examine_answers(paths: Iterable[str | Path], languages: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Identify the languages of answers and find their faults, a few thousand texts at a time.

    Parameters
    ----------
    paths : see :func:`read_lengths`.
    languages : see :func:`.detect_languages`.

    Returns
    -------
    One row per answer, with name (of the model), language and detected (its language, see :func:`.detect_languages`);
    and the faults, as :func:`.flag_answers` lists them, sorted by flag.
    """
    columns, faults = {name: Categories() for name in ("name", "language", "detected")}, []
    for texts in _read(paths, ["language", "item_id", "text", "finish_reason"]):
        detected = detect_languages(texts, languages)
        faults.append(flag_answers(texts, detected))
        for name, column in columns.items():
            column.add(pa.array(detected if name == "detected" else texts[name], pa.string(), from_pandas=True))
    listed = pd.concat(faults, ignore_index=True)
    order = listed["flag"].map({flag: number for number, flag in enumerate(ANSWER_FLAGS)})
    listed = listed.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    return pd.DataFrame({name: column.column() for name, column in columns.items()}), listed


def _read(paths: Iterable[str | Path], columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    for path in paths:
        for texts in read_frames(path, schemas.TEXTS, columns):
            yield texts.assign(name=Path(path).parent.name)
