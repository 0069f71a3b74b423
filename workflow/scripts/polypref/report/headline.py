"""The report's answer, in one sentence."""

from dataclasses import dataclass

import pandas as pd

from polypref.evaluation.improvement import ALPHA
from polypref.evaluation.win_rates import ALL
from polypref.report.text import signed

QUESTION = "Which way of making multilingual preference data trains the better model?"


@dataclass(frozen=True)
class Headline:
    """`answer` is one sentence, `detail` says over what the numbers are."""

    question: str
    answer: str
    detail: str


def _interval(row: pd.Series) -> str:
    if pd.isna(row["low"]):
        return "too few prompts for an interval"
    return f"95% interval {signed(row['low'])} to {signed(row['high'])}"


def _after_correction(p: float, variants: int) -> str:
    """Why an interval beside zero is no finding yet: the best of several was picked."""
    return "" if pd.isna(p) else f", and p = {p:.2g} once corrected for having picked the best of {variants}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def headline(improvement: pd.DataFrame) -> Headline:
    """Say which variant gains most over the base, and whether chance explains it.

    Parameters
    ----------
    improvement : table of :func:`polypref.evaluation.improvement.tabulate_improvement`.
    """
    overall = improvement[improvement["opponent"].eq(ALL) & improvement["language"].eq(ALL)]
    if overall.empty:
        return Headline(QUESTION, "Nothing was compared: there are no verdicts on a trained variant.", "")
    ranked = overall.sort_values("improvement", ascending=False, kind="stable")
    best, others = ranked.iloc[0], ranked.iloc[1:]
    gain = f"{signed(best['improvement'])} points of Win% − Loss% over the base ({_interval(best)})"
    corrected = best.get("p_adjusted", float("nan"))
    by_chance = corrected > ALPHA  # over the variants, since the best of several is chosen
    if best["low"] > 0 and not by_chance:
        answer = f"{best['policy']} gains the most: {gain}."
    elif best["high"] < 0:
        answer = f"None: even the best, {best['policy']}, loses to the base, with {gain}."
    else:
        answer = f"No clear winner: the best, {best['policy']}, has {gain}{_after_correction(corrected, len(ranked))}."
    opponents = improvement.loc[improvement["opponent"].ne(ALL), "opponent"].nunique()
    languages = improvement.loc[improvement["language"].ne(ALL), "language"].nunique()
    rest = "; ".join(f"{row['policy']} {signed(row['improvement'])} ({_interval(row)})" for _, row in others.iterrows())
    detail = (
        f"Paired by prompt, over {_count(opponents, 'opponent')} and {_count(languages, 'language')}; "
        f"{_count(best['prompts'], 'source prompt')}, whose languages and opponents are taken together in the interval."
    )
    return Headline(QUESTION, answer, f"The others: {rest}. {detail}" if rest else detail)
