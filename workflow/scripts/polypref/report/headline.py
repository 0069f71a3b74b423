"""The headline of the report: the main result in one sentence."""

from dataclasses import dataclass

import pandas as pd

from polypref.evaluation.power import ALPHA
from polypref.evaluation.win_rates import ALL
from polypref.health.conclusion import no_conclusion
from polypref.report.text import signed

QUESTION = "Which way of creating multilingual preference data trains the best model?"

VOID = "The numbers below summarise the verdicts, but they do not show which variant is better."


@dataclass(frozen=True)
class Headline:
    """The question, its answer in one sentence, and `detail` on how the numbers were computed."""

    question: str
    answer: str
    detail: str


def _interval(row: pd.Series) -> str:
    if pd.isna(row["low"]):
        return "too few prompts for an interval"
    return f"95% interval {signed(row['low'])} to {signed(row['high'])}"


def _after_correction(p: float, variants: int) -> str:
    """Format the corrected p-value, which is needed because the best of several variants is selected."""
    return "" if pd.isna(p) else f"; p = {p:.2g} after correction for selecting the best of {variants}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _seeds(overall: pd.DataFrame) -> str:
    """Describe the number of training seeds, and what the intervals therefore account for."""
    if "seeds" not in overall or overall["seeds"].eq(1).all():
        return (
            "Each variant was trained with one seed: the intervals are about these trained models, and do not "
            "account for how much another training seed would change the results (training.seeds)."
        )
    counts = overall["seeds"]
    number = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"
    return (
        f"Each variant was trained with {number} seeds: differences are means over the seeds, and the intervals "
        "account for the choice of prompts and of seeds."
    )


def headline(improvement: pd.DataFrame, health: pd.DataFrame | None = None) -> Headline:
    """Summarise which variant gains most over the base, and whether the gain is significant.

    Parameters
    ----------
    improvement : table of :func:`polypref.evaluation.improvement.tabulate_improvement`.
    health : table of the health checks; no variant is named if a failed check voids the comparison.
    """
    if health is not None and (answer := no_conclusion(health)):
        return Headline(QUESTION, answer, VOID)
    overall = improvement[improvement["opponent"].eq(ALL) & improvement["language"].eq(ALL)]
    if overall.empty:
        return Headline(QUESTION, "There is no result yet: no trained variant has been judged.", "")
    ranked = overall.sort_values("improvement", ascending=False, kind="stable")
    best, others = ranked.iloc[0], ranked.iloc[1:]
    gain = f"{signed(best['improvement'])} points of Win% − Loss% over the base ({_interval(best)})"
    corrected = best.get("p_adjusted", float("nan"))
    by_chance = corrected > ALPHA  # corrected over the variants, since the best of several is chosen
    if best["low"] > 0 and not by_chance:
        answer = f"{best['policy']} gains the most: {gain}."
    elif best["high"] < 0:
        answer = f"None improves on the base: the best variant, {best['policy']}, has {gain}."
    else:
        correction = _after_correction(corrected, len(ranked))
        answer = f"No clear winner: the best variant, {best['policy']}, has {gain}{correction}."
    opponents = improvement.loc[improvement["opponent"].ne(ALL), "opponent"].nunique()
    languages = improvement.loc[improvement["language"].ne(ALL), "language"].nunique()
    rest = "; ".join(f"{row['policy']} {signed(row['improvement'])} ({_interval(row)})" for _, row in others.iterrows())
    detail = (
        f"Differences are paired by prompt and pooled over {_count(opponents, 'opponent')} and "
        f"{_count(languages, 'language')}; intervals are clustered by source prompt "
        f"({_count(best['prompts'], 'source prompt')}). {_seeds(overall)}"
    )
    return Headline(QUESTION, answer, f"Other variants: {rest}. {detail}" if rest else detail)
