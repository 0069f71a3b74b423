"""Sentences on what the health checks imply for the conclusion of the report."""

from __future__ import annotations

import pandas as pd

MOST_REASONS = 2
"""Maximum number of reasons in the headline; the table of checks lists all of them."""


def void_reasons(health: pd.DataFrame) -> list[str]:
    """List the messages of the failed checks that void the comparison, in the order of the table."""
    return health.loc[health["voids"].astype(str).eq("True"), "message"].tolist()


def describe_judge(health: pd.DataFrame) -> str:
    """Describe the judge in one sentence."""
    checks = health.drop_duplicates("check").set_index("check")
    status = checks["status"].to_dict()
    message = checks["message"].str.replace("the judge ", "it ", n=1).to_dict()

    def is_at(name: str, level: str) -> bool:
        return status.get(name) == level

    if is_at("judge_position", "fail"):
        return f"The judge decides by position: {message['judge_position']}."
    if is_at("judge_length", "fail"):
        return f"The judge decides by length: {message['judge_length']}."
    if is_at("judge_unparsed", "fail") or is_at("judge_errors", "fail"):
        return "Too many judgements have no verdict."
    if is_at("judge_order_kappa", "fail"):
        return f"The judge cannot be distinguished from one that answers at random: {message['judge_order_kappa']}."
    if is_at("judge_sanity_wins", "fail"):
        return f"The judge fails its sanity set: {message['judge_sanity_wins']}."
    if is_at("judge_order_kappa", "warn"):
        return f"The judge is noisy: {message['judge_order_kappa']}."
    if is_at("judge_sanity_wins", "warn"):
        return f"The judge is noisy: {message['judge_sanity_wins']}."
    return "The judge passes the checks that could void the comparison."


def no_conclusion(health: pd.DataFrame) -> str:
    """Return the headline of a run whose comparison is void, and an empty string for other runs."""
    reasons = void_reasons(health)
    if not reasons:
        return ""
    shown = reasons[:MOST_REASONS]
    rest = len(reasons) - len(shown)
    more = f"; {rest} more {'check' if rest == 1 else 'checks'} of the judge failed" if rest > 0 else ""
    return f"No conclusion can be drawn: {'; '.join(shown)}{more}."
