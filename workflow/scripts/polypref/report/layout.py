"""Reshape result tables into the rows of the report's tables."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from polypref.config.health import distance
from polypref.datasets.diagnostics import FLAGS
from polypref.evaluation.win_rates import ALL
from polypref.figures.translation_quality import heatmap_frame
from polypref.files.conversations import to_transcript
from polypref.files.schemas import FIELDS
from polypref.health.conclusion import describe_judge
from polypref.report.pieces import snippet
from polypref.requests.sanity import ITSELF, OTHER

CURVES = (
    "loss", "margin", "accuracy", "chosen_reward", "rejected_reward", "held_out_loss", "held_out_accuracy",
)  # fmt: skip


def win_rate_groups(table: pd.DataFrame, paper: pd.DataFrame | None) -> list[dict]:
    """Group win rates by opponent; each row includes the published numbers of ``paper``, or None."""
    published = {} if paper is None else {(r["policy"], r["opponent"]): r for r in paper.to_dict("records")}
    return [
        {
            "opponent": opponent,
            "rows": [row | {"paper": published.get((row["policy"], opponent))} for row in rows.to_dict("records")],
        }
        for opponent, rows in table.groupby("opponent", sort=False)
    ]


def language_matrix(table: pd.DataFrame, languages: Sequence[str]) -> list[dict]:
    """Arrange W - L by opponent (groups), policy (rows) and language (columns); cells without verdicts are None."""
    groups = []
    for opponent, mine in table.groupby("opponent", sort=False):
        wide = mine.pivot(index="policy", columns="language", values="difference")
        wide = wide.reindex(index=mine["policy"].unique(), columns=list(languages))
        rows = [
            {"policy": policy, "cells": [None if pd.isna(value) else value for value in cells]}
            for policy, cells in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        groups.append({"opponent": opponent, "rows": rows})
    return groups


def full_scale(differences: pd.Series) -> float:
    """Return the limit of a colour scale around zero: the largest difference, rounded up to tens of points."""
    return max(10.0, 10 * math.ceil(differences.abs().max() / 10)) if differences.notna().any() else 10.0


def average_rows(estimates: pd.DataFrame) -> list[dict]:
    """List pooled and macro estimates over all languages, for each policy and opponent and over all opponents."""
    return estimates[estimates["average"].ne("")].to_dict("records")


def wrong_language_matrix(table: pd.DataFrame, languages: Sequence[str]) -> list[dict]:
    """Arrange shares of answers in the wrong language by model (rows) and language (columns), with totals."""
    rows = []
    for name, mine in table.groupby("name", sort=False):
        by_language = mine.set_index("language")
        shares = by_language["wrong_percent"].where(by_language["answers"].gt(0))
        rows.append({
            "name": name, "overall": shares[ALL], "cells": [shares.get(code, float("nan")) for code in languages],
            "answers": by_language.at[ALL, "answers"], "short": by_language.at[ALL, "short"],
        })  # fmt: skip
    return rows


def comparison_rows(table: pd.DataFrame) -> dict[str, list[dict]]:
    """List comparisons of two translators for each metric of the heatmaps."""
    shown = {"BLEU": "bleu_sentence_mean", "chrF++": "chrf_sentence_mean"}
    return {label: table[table["metric"].eq(metric)].to_dict("records") for label, metric in shown.items()}


def improvement_rows(table: pd.DataFrame) -> list[dict]:
    """List the improvement of each variant over all languages, overall and for each opponent."""
    return table[table["language"].eq(ALL)].to_dict("records")


def improvement_matrix(table: pd.DataFrame) -> tuple[list[str], list[dict], float]:
    """Arrange improvements over all languages by variant (rows) and opponent (columns, ``all`` first).

    Returns
    -------
    The opponents, the rows, and the limit of the common scale of the intervals, which is symmetric around zero.
    """
    overall = table[table["language"].eq(ALL)]
    opponents = sorted(dict.fromkeys(overall["opponent"]), key=lambda name: name != ALL)
    rows = [
        {"policy": policy, "cells": [mine.get(opponent) for opponent in opponents]}
        for policy, rows in overall.groupby("policy", sort=False)
        for mine in [{row["opponent"]: row for row in rows.to_dict("records")}]
    ]
    return opponents, rows, full_scale(overall[["improvement", "low", "high"]].stack())


def seed_rows(table: pd.DataFrame | None) -> list[dict]:
    """List the results of each training seed and their means over all languages; none without several seeds."""
    return [] if table is None else table[table["language"].eq(ALL)].to_dict("records")


def flag_rows(table: pd.DataFrame, languages: Sequence[str]) -> list[dict]:
    """Count flagged pairs by architecture and flag (rows) and language (columns), omitting flags that do not occur."""
    rows = []
    for architecture, mine in table.groupby("architecture", sort=False):
        flags = [flag for flag in FLAGS if flag in mine]
        sums = mine.groupby("language")[["pairs", *flags]].sum()
        for flag in flags:
            if total := int(sums[flag].sum()):
                cells = [int(sums[flag].get(code, 0)) for code in languages]
                share = 100 * total / int(sums["pairs"].sum())
                rows.append(
                    {"architecture": architecture, "flag": flag, "cells": cells, "total": total, "percent": share}
                )
    return rows


def token_rows(table: pd.DataFrame, languages: Sequence[str]) -> list[dict]:
    """Compute mean tokens of prompt, chosen and rejected by architecture and language, weighted by number of pairs."""
    table = table.sort_values("language", key=lambda codes: codes.map(list(languages).index), kind="stable")
    means = [*(f"{field}_tokens" for field in FIELDS), "token_gap", "chosen_longer"]
    rows = []
    for (architecture, language), mine in table.groupby(["architecture", "language"], sort=False):
        weighted = mine[means].mul(mine["pairs"], axis=0).sum() / mine["pairs"].sum()
        rows.append({"architecture": architecture, "language": language, "pairs": int(mine["pairs"].sum()), **weighted})
    return rows


def score_comparison(
    scores: pd.DataFrame, paper: pd.DataFrame | None, column: str, languages: Sequence[str]
) -> list[dict]:
    """Arrange mean sentence scores by translator and language, as (ours, published), in the order of the heatmap."""
    if paper is None:
        return []
    ours, theirs = (
        heatmap_frame(scores, column, languages),
        paper.pivot(index="translator", columns="language", values=column).reindex(columns=list(languages)),
    )
    return [
        {
            "translator": name,
            "cells": [
                (ours.at[name, code] if code in ours else float("nan"),
                 theirs.at[name, code] if name in theirs.index else float("nan"))
                for code in languages
            ],
        }
        for name in ours.index
    ]  # fmt: skip


def count_matrix(counts: pd.DataFrame, languages: Sequence[str]) -> list[dict]:
    """Count pairs by architecture (rows) and language (columns), with totals and mean lengths."""
    rows = []
    for architecture, table in counts.groupby("architecture", sort=False):
        pairs = table.groupby("language")["pairs"].sum()
        lengths = {
            field: (table[f"{field}_characters"] * table["pairs"]).sum() / max(table["pairs"].sum(), 1)
            for field in FIELDS
        }
        cells = [int(pairs.get(code, 0)) for code in languages]
        rows.append({"architecture": architecture, "cells": cells, "total": sum(cells), "lengths": lengths})
    return rows


def funnel_rows(funnel: pd.DataFrame, stage: str) -> list[dict]:
    """Sum rows read, dropped (by reason) and kept over languages, for each source or architecture of a stage."""
    rows = []
    for name, table in funnel[funnel["stage"].eq(stage)].groupby("name", sort=False):
        # without any dropped row, the column of reasons is empty and read as numbers
        sums = table.groupby(["step", "reason"], sort=False, dropna=False)["rows"].sum()
        drops = [
            {"step": step, "reason": reason, "rows": int(n)}
            for (step, reason), n in sums.items()
            if step not in ("read", "kept")
        ]
        rows.append({
            "name": name, "read": int(sums["read"].sum()), "drops": drops,
            "dropped": sum(drop["rows"] for drop in drops), "kept": int(sums["kept"].sum()),
        })  # fmt: skip
    return rows


def training_rows(logs: Mapping[str, pd.DataFrame]) -> tuple[list[str], list[dict]]:
    """Find the first and last value of each curve in the training logs.

    Returns
    -------
    The curves that occur in at least one log, and one dict per architecture with ``steps`` and ``ends``, which maps a
    curve to (first, last).
    """
    curves = [name for name in CURVES if any(name in log for log in logs.values())]
    rows = []
    for architecture, log in logs.items():
        known = {name: log[name].dropna() for name in curves if name in log}
        ends = {name: (values.iloc[0], values.iloc[-1]) for name, values in known.items() if len(values)}
        rows.append({"architecture": architecture, "steps": len(log), "ends": ends})
    return curves, rows


def health_rows(table: pd.DataFrame | None) -> dict | None:
    """Prepare the health checks for the overview.

    Returns
    -------
    None if there is no table; otherwise a dict of ``judge`` (a sentence), ``counts`` (number of checks by worst status)
    and ``checks``: one dict per check with its worst row, and all its rows in ``rows``.
    """
    if table is None or table.empty:
        return None
    checks = []
    for _, mine in table.groupby("check", sort=False):
        rows = [{**row, "worse": LEVELS.index(row["status"])} for row in mine.to_dict("records")]
        worst = max(rows, key=lambda row: (row["worse"], distance(row["value"], row["better"])))
        checks.append({**worst, "rows": rows})
    counts = {status: sum(check["status"] == status for check in checks) for status in LEVELS}
    return {"judge": describe_judge(table), "counts": counts, "checks": checks}


def sanity_rows(sanity: pd.DataFrame, prompts: Mapping[str, str]) -> dict:
    """List the verdicts on the sanity set that are not the known ones; ``prompts``: the texts of its prompts by id.

    Returns
    -------
    A dict of ``judged`` (number of verdicts) and ``wrong``: dicts of language, prompt (its beginning), opponent,
    against, order (what was shown first), reply and verdict, in words.
    """
    known = sanity["policy"].map({ITSELF: "tie", OTHER: "policy"})
    wrong = sanity[sanity["verdict"].ne(known)]
    sides = {"policy": "the right answer", "opponent": OTHER, "tie": "tie", "": "none"}

    def words(row) -> dict[str, str]:
        first, verdict = row.order.removesuffix("_first"), sides[row.verdict]
        if row.policy == ITSELF and row.verdict:
            verdict = "the first" if row.verdict == first else "the second"
        return {"order": "the same answer" if row.policy == ITSELF else sides[first], "verdict": verdict}

    rows = [
        {"language": row.language, "prompt": snippet(to_transcript(prompts[row.item_id])), "opponent": row.opponent,
         "against": row.policy, "reply": row.reply, **words(row)}
        for row in wrong.itertuples()
    ]  # fmt: skip
    return {"judged": len(sanity), "wrong": rows}


LEVELS = ("unknown", "pass", "warn", "fail")
"""Statuses of a check, from best to worst."""
