"""The health checks, their grading, and the rows of their table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
COLUMNS = ("check", "title", "about", "value", "unit", "better", "warn", "fail", "status", "voids", "message", "link")

VERDICTS = "verdicts.html#language=all"
CHANGED = f"{VERDICTS}&outcome=changed"
IMPROVEMENT = "win_rates.html#improvement"
SANITY = "win_rates.html#sanity"


@dataclass(frozen=True)
class Check:
    """A check: its title, the unit of its value, whether high or low values are better, and a link to its rows.

    If ``voids`` is true, a failure means that no conclusion can be drawn from the comparison of the variants.
    """

    title: str
    unit: str
    better: str
    link: str
    voids: bool = False


CHECKS = {
    "judge_position": Check("Judge: position bias", "%", "low", CHANGED, True),
    "judge_length": Check("Judge: preference for the longer answer", "%", "low", f"{VERDICTS}&outcome=longer", True),
    "judge_order_kappa": Check("Judge: agreement with itself over the two orders", "kappa", "high", CHANGED, True),
    "judge_sanity_wins": Check("Judge: an answer beats the answer to another prompt", "%", "high", SANITY, True),
    "judge_sanity_ties": Check("Judge: an answer against itself is a tie", "%", "high", SANITY),
    "judge_unparsed": Check("Judge: replies that cannot be parsed", "%", "low", f"{VERDICTS}&outcome=unparsed", True),
    "judge_errors": Check("Judge: judgements without a reply", "%", "low", f"{VERDICTS}&outcome=error", True),
    "judge_second": Check("Judge: agreement with the second judge", "kappa", "high", "win_rates.html#agreement"),
    "prompts_informative": Check("Prompts on which variant and base differ", "prompts", "high", IMPROVEMENT),
    "detectable": Check("Smallest detectable difference", "points", "low", IMPROVEMENT),
    "several_tests": Check("Result holds after correction for several tests", "p", "low", IMPROVEMENT),
    "contamination": Check("Training prompts that match evaluation prompts", "%", "low", "data.html"),
    "answers_wrong_language": Check("Answers in the wrong language", "%", "low", VERDICTS),
    "answers_truncated": Check("Answers cut off at max_tokens", "%", "low", VERDICTS),
    "answers_repeat": Check("Answers that repeat themselves", "%", "low", VERDICTS),
    "data_wrong_language": Check("Training texts in the wrong language", "%", "low", "reader.html"),
    "data_truncated": Check("Training texts cut off at max_tokens", "%", "low", "reader.html"),
    "data_repeat": Check("Training texts that repeat themselves", "%", "low", "reader.html"),
    "data_dropped": Check("Pairs lost on the way to a data set", "%", "low", "data.html"),
    "data_unequal": Check("Difference in size between data sets", "%", "low", "data.html#counts"),
    "data_length_ratio": Check("Length ratio of chosen and rejected", "ratio", "low", "data.html#lengths"),
    "training_finite": Check("Steps whose loss is not a number", "%", "low", "training.html"),
    "training_loss": Check("Loss in the last quarter of training", "loss", "low", "training.html"),
    "training_accuracy": Check("Accuracy in the last quarter of training", "%", "high", "training.html"),
    "training_too_easy": Check("Rejected texts that are too easy to tell apart", "%", "low", "training.html"),
    "training_margin": Check("Reward margin in the last quarter of training", "margin", "high", "training.html"),
    "training_steps": Check("Optimiser steps", "steps", "high", "training.html"),
}
"""All checks in the order of the report."""


def grade(value: float, limits: list[float | None], better: str, tested: float | None = None) -> str:
    """Grade a value: ``pass``, ``warn``, ``fail``, or ``unknown`` if it is nan.

    Parameters
    ----------
    limits : [warn, fail]; a value equal to a limit passes, unless `tested` is given, which fails if equal to the limit.
    better : ``high`` or ``low``
    tested : lower end of a confidence interval, which is compared with the second limit instead of the value
    """
    if math.isnan(value):
        return "unknown"
    sign = 1 if better == "high" else -1
    warn, fail = limits
    if fail is not None:
        failed = tested <= fail if tested is not None else sign * value < sign * fail
        if failed:
            return "fail"
    return "warn" if warn is not None and sign * value < sign * warn else "pass"


def row(
    name: str, about: str, value: float, limits: Mapping[str, Any], message: str,
    tested: float | None = None, status: str | None = None, link: str = "",
) -> Row:  # fmt: skip
    """Build a row of the table; ``about`` is an architecture, a model or ``all``, and ``message`` is a clause. ``link``
    leads to the underlying rows, if they differ from those of the whole check.
    """
    check, (warn, fail) = CHECKS[name], limits.get(name, (None, None))
    status = status or grade(float(value), [warn, fail], check.better, tested)
    return {
        "check": name, "title": check.title, "about": about, "value": value, "unit": check.unit,
        "better": check.better, "warn": warn, "fail": fail, "status": status,
        "voids": check.voids and status == "fail", "message": message, "link": link or check.link,
    }  # fmt: skip
