"""Checks of the texts: answers to evaluation prompts, training pairs, and contamination of the training prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from polypref.evaluation.win_rates import ALL
from polypref.files.conversations import to_messages, without_system
from polypref.files.schemas import DATASET, FIELDS
from polypref.files.tables import iter_batches
from polypref.health.checks import VERDICTS, Row, row
from polypref.sources.ngrams import Matcher

CONTAMINATION_COLUMNS = ["architecture", "language", "item_id", "prompt_id", "rule"]


def _in_reader(counts: pd.Series, architecture: str, flag: str) -> str:
    """Link to the flagged pairs of a data set in the reader, which shows one language at a time.

    ``counts``: number of flagged pairs by language, sorted; the link leads to the first with the most, if any.
    """
    language = {"language": counts.idxmax()} if counts.any() else {}
    return f"reader.html#{urlencode({**language, 'architecture': architecture, 'flag': flag})}"


def answer_checks(
    given: Mapping[str, int], wrong: pd.DataFrame, flagged: pd.DataFrame, policies: Collection[str],
    limits: Mapping[str, Any],
) -> list[Row]:  # fmt: skip
    """Check the answers of each model.

    Parameters
    ----------
    given : number of answers by model.
    wrong, flagged : tables wrong_languages and answer_flags.
    policies : the names in `given` that are policies; the others are opponents.
    limits : check to [warn, fail].
    """
    counts = flagged.value_counts(["name", "flag"])
    rows = []

    def add(check: str, name: str, flag: str, share: float, words: str) -> None:
        message = f"{share:.0f}% of the answers of {name} {words}"
        side = "policy" if name in policies else "opponent"
        link = f"{VERDICTS}&{urlencode({side: name, 'answer': flag})}"
        rows.append(row(check, name, share, limits, message, link=link))

    for found in wrong[wrong["language"].eq(ALL)].itertuples():
        words = "are in another language than the prompt"
        add("answers_wrong_language", found.name, "wrong_language", found.wrong_percent, words)
    for name, number in given.items():
        for flag, check, words in (("truncated", "answers_truncated", "are cut off"),
                                   ("repeats", "answers_repeat", "repeat themselves")):  # fmt: skip
            add(check, name, flag, 100 * counts.get((name, flag), 0) / number, words)
    return rows


def data_checks(
    diagnostics: Mapping[str, pd.DataFrame], funnel: pd.DataFrame, limits: Mapping[str, Any]
) -> list[Row]:  # fmt: skip
    """Check the pairs that each policy was trained on.

    Parameters
    ----------
    diagnostics : architecture to the output of :func:`polypref.datasets.diagnostic_tables.summarise` for the pairs in
        its data set.
    """
    kinds = {"data_wrong_language": ("wrong_language", "are in the wrong language"),
             "data_truncated": ("truncated", "are cut off"),
             "data_repeat": ("repeats", "repeat themselves")}  # fmt: skip
    rows, sizes = [], {}
    for name, sums in diagnostics.items():
        found = sums.groupby(level="language").sum()
        total = found.sum()
        for field in FIELDS:
            for check, (kind, words) in kinds.items():
                flag = f"{field}_{kind}"
                share = 100 * total[flag] / total["pairs"] if total["pairs"] else np.nan
                message = f"{share:.0f}% of the {field} texts of data set {name} {words}"
                link = _in_reader(found[flag], name, flag)
                rows.append(row(check, f"{name} {field}", share, limits, message, link=link))
        ratio = total["chosen_tokens"] / max(total["rejected_tokens"], 1e-9)
        message = f"chosen texts of data set {name} have {ratio:.2f} times the tokens of rejected ones"
        rows.append(row("data_length_ratio", name, max(ratio, 1 / max(ratio, 1e-9)), limits, message))
        mine = funnel[funnel["stage"].eq("architecture") & funnel["name"].eq(name)]
        steps = mine.groupby("step")["rows"].sum()
        sizes[name] = int(steps["kept"])
        lost = 100 * (1 - steps["kept"] / steps["read"])
        message = f"data set {name} lost {lost:.1f}% of its pairs"
        gone = mine[~mine["step"].isin(["read", "kept"])].groupby("language")["rows"].sum()
        rows.append(row("data_dropped", name, lost, limits, message, link=_in_reader(gone, name, "left")))
    least, most = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    apart = 100 * (1 - sizes[least] / max(sizes[most], 1))
    message = f"data set {least} has {sizes[least]:,} pairs and {most} {sizes[most]:,}"
    if apart == 0:
        message = f"all data sets have {sizes[most]:,} pairs"
    return [*rows, row("data_unequal", ALL, apart, limits, message)]


def rating_checks(ratings: pd.DataFrame, limits: Mapping[str, Any]) -> list[Row]:
    """Check the share of translations without a rating; ``ratings`` is the table ratings."""
    rows = []
    for found in ratings[ratings["language"].eq(ALL)].itertuples():
        share, of = found.unrated_percent, f"{found.field} translations of data set {found.architecture}"
        message = f"{share:.0f}% of the {of} have no rating"
        rows.append(row("data_unrated", f"{found.architecture} {found.field}", share, limits, message))
    return rows


def read_prompts(path: str | Path) -> Iterator[tuple[str, str, str]]:
    """Read item_id, language and prompt of a data set; of a prompt of several messages, the text that is compared."""
    names = ["item_id", "language", "prompt"]
    for table in iter_batches(path, DATASET, [*names, "prompt_messages"]):
        texts = table["prompt"].to_pylist()
        if pc.any(pc.greater(pc.list_value_length(table["prompt_messages"]), 1)).as_py():
            texts = [without_system(messages) for messages in table["prompt_messages"].to_pylist()]
        yield from zip(table["item_id"].to_pylist(), table["language"].to_pylist(), texts, strict=True)


def contaminated(
    datasets: Mapping[str, Iterable[tuple[str, str, str]]], prompts: pd.DataFrame, languages: Sequence[str]
) -> pd.DataFrame:
    """List training prompts that match an evaluation prompt in the same language, with `CONTAMINATION_COLUMNS`.

    ``datasets`` has the rows of :func:`read_prompts`; only those that share something with a prompt are in memory.
    """
    prompts = prompts.assign(prompt=[without_system(to_messages(text)) for text in prompts["prompt"]])
    asked = {code: prompts[prompts["language"].eq(code)] for code in languages}
    matchers = {code: Matcher(zip(own["prompt_id"], own["prompt"], strict=True)) for code, own in asked.items()}
    rows = []
    for name, pairs in datasets.items():
        candidates: dict[str, list[tuple[str, list[str]]]] = {code: [] for code in languages}
        for item, code, text in pairs:
            if code in matchers and (words := matchers[code].candidate(text)):
                candidates[code].append((item, words))
        for code, matcher in matchers.items():
            rows += [(name, code, *match) for match in matcher.matches(candidates[code])]
    return pd.DataFrame(rows, columns=CONTAMINATION_COLUMNS)


def contamination_checks(
    listed: pd.DataFrame, sizes: Mapping[str, int], funnel: pd.DataFrame, limits: Mapping[str, Any]
) -> list[Row]:
    """Check the share of each data set's prompts that :func:`contaminated` listed; report how many were dropped.

    ``sizes``: architecture to the number of pairs in its data set.
    """
    counts = funnel[funnel["step"].eq("contamination")].groupby("stage")["rows"].sum()
    stages = {"base set": "prompts of the sources", "native prompts": "native prompts"}
    left_out = " and ".join(f"{counts[stage]:,} {what}" for stage, what in stages.items() if stage in counts)
    rows = []
    for name, size in sizes.items():
        rules = listed.loc[listed["architecture"].eq(name), "rule"].value_counts()
        share = 100 * rules.sum() / max(size, 1)
        how = f" ({', '.join(f'{rule} {count:,}' for rule, count in rules.items())})" if len(rules) else ""
        message = f"{rules.sum():,} of {size:,} prompts of data set {name} match an evaluation prompt{how}"
        if left_out:
            message += f"; {left_out} were left out for it"
        rows.append(row("contamination", name, share, limits, message))
    return rows
