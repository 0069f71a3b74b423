"""Checks of the texts: answers to evaluation prompts, training pairs, and contamination of the training prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from polypref.datasets.diagnostics import LOOP, repetition
from polypref.evaluation.win_rates import ALL
from polypref.files.schemas import FIELDS
from polypref.health.checks import Row, row
from polypref.sources.ngrams import find_matches

CONTAMINATION_COLUMNS = ["architecture", "language", "item_id", "prompt_id", "rule"]


def answer_checks(answers: pd.DataFrame, wrong: pd.DataFrame, limits: Mapping[str, Any]) -> list[Row]:
    """Check the answers of each model.

    Parameters
    ----------
    answers : columns name, text and finish_reason.
    wrong : table wrong_languages.
    limits : check to [warn, fail].
    """
    rows = []
    for found in wrong[wrong["language"].eq(ALL)].itertuples():
        message = f"{found.wrong_percent:.0f}% of the answers of {found.name} are in another language than the prompt"
        rows.append(row("answers_wrong_language", found.name, found.wrong_percent, limits, message))
    for name, mine in answers.groupby("name", sort=False):
        cut = 100 * mine["finish_reason"].eq("length").mean()
        loops = 100 * mine["text"].map(repetition).ge(LOOP).mean()
        rows.append(row("answers_truncated", name, cut, limits, f"{cut:.0f}% of the answers of {name} are cut off"))
        rows.append(
            row("answers_repeat", name, loops, limits, f"{loops:.0f}% of the answers of {name} repeat themselves")
        )
    return rows


def data_checks(
    diagnostics: Mapping[str, pd.DataFrame], kept: Mapping[str, pd.DataFrame], funnel: pd.DataFrame,
    limits: Mapping[str, Any],
) -> list[Row]:  # fmt: skip
    """Check the pairs that each policy was trained on.

    Parameters
    ----------
    diagnostics : architecture to schema DIAGNOSTICS; rows of dropped pairs are ignored.
    kept : architecture to item_id and language of the pairs in its data set.
    """
    kinds = {"data_wrong_language": ("wrong_language", "are in the wrong language"),
             "data_truncated": ("truncated", "are cut off"),
             "data_repeat": ("repeats", "repeat themselves")}  # fmt: skip
    rows, sizes = [], {}
    for name, every in diagnostics.items():
        frame = every.merge(kept[name][["item_id", "language"]], on=["item_id", "language"])
        flags = frame["flags"].map(set)
        for field in FIELDS:
            for check, (kind, words) in kinds.items():
                share = 100 * flags.map(lambda found, flag=f"{field}_{kind}": flag in found).mean()
                message = f"{share:.0f}% of the {field} texts of data set {name} {words}"
                rows.append(row(check, f"{name} {field}", share, limits, message))
        ratio = frame["chosen_tokens"].mean() / max(frame["rejected_tokens"].mean(), 1e-9)
        message = f"chosen texts of data set {name} have {ratio:.2f} times the tokens of rejected ones"
        rows.append(row("data_length_ratio", name, max(ratio, 1 / max(ratio, 1e-9)), limits, message))
        steps = funnel[funnel["stage"].eq("architecture") & funnel["name"].eq(name)].groupby("step")["rows"].sum()
        sizes[name] = int(steps["kept"])
        lost = 100 * (1 - steps["kept"] / steps["read"])
        rows.append(
            row("data_dropped", name, lost, limits, f"data set {name} lost {lost:.1f}% of the base set's pairs")
        )
    least, most = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    apart = 100 * (1 - sizes[least] / max(sizes[most], 1))
    message = f"data set {least} has {sizes[least]:,} pairs and {most} {sizes[most]:,}"
    if apart == 0:
        message = f"all data sets have {sizes[most]:,} pairs"
    return [*rows, row("data_unequal", ALL, apart, limits, message)]


def contaminated(datasets: Mapping[str, pd.DataFrame], prompts: pd.DataFrame, languages: Sequence[str]) -> pd.DataFrame:
    """List training prompts that match an evaluation prompt in the same language, with `CONTAMINATION_COLUMNS`."""
    rows = []
    for name, frame in datasets.items():
        for code in languages:
            mine, asked = (table[table["language"].eq(code)] for table in (frame, prompts))
            pairs = [
                list(zip(t[key], t["prompt"], strict=True)) for t, key in ((mine, "item_id"), (asked, "prompt_id"))
            ]
            rows += [(name, code, *match) for match in find_matches(*pairs)]
    return pd.DataFrame(rows, columns=CONTAMINATION_COLUMNS)


def contamination_checks(
    listed: pd.DataFrame, datasets: Mapping[str, pd.DataFrame], funnel: pd.DataFrame, limits: Mapping[str, Any]
) -> list[Row]:
    """Check the share of prompts of each data set that :func:`contaminated` listed, and say how many were left out."""
    left_out = funnel.loc[funnel["stage"].eq("base set") & funnel["step"].eq("contamination"), "rows"].sum()
    rows = []
    for name, frame in datasets.items():
        rules = listed.loc[listed["architecture"].eq(name), "rule"].value_counts()
        share = 100 * rules.sum() / max(len(frame), 1)
        how = f" ({', '.join(f'{rule} {count:,}' for rule, count in rules.items())})" if len(rules) else ""
        message = f"{rules.sum():,} of {len(frame):,} prompts of data set {name} match an evaluation prompt{how}"
        if left_out:
            message += f"; {left_out:,} pairs of the sources were left out for it"
        rows.append(row("contamination", name, share, limits, message))
    return rows
