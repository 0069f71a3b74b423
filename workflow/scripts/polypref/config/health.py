"""Thresholds of the health checks, with the source of each default."""

from __future__ import annotations

import math

from pydantic import Field

from polypref.config.registry import Section

Limits = list[float | None]
"""``[warn, fail]``; null disables a level."""
_OWN = "no published threshold is known to us: our choice"


def _limits(warn: float | None, fail: float | None, description: str) -> Limits:
    return Field([warn, fail], min_length=2, max_length=2, description=description)


def distance(value: float, better: str) -> float:
    """Return a sort key by which the worst value of a check is the largest; ``better``: "low" or "high"."""
    value = float(value)
    return -math.inf if math.isnan(value) else value if better == "low" else -value


class Health(Section):
    """Limits beyond which a run's numbers must not be trusted: each check has `[warn, fail]`; null disables a level.

    The checks are listed in `results/tables/health.csv`, on the first page of the report and in the summary at the end
    of a run. A failed check of the judge means that the report names no best variant.
    """

    sanity_prompts: int = Field(
        20,
        ge=0,
        description="evaluation prompts per language in the judge's sanity set: an opponent's answer is judged against "
        "itself and against its answer to another prompt; 0 switches it off",
    )
    judge_order_kappa: Limits = _limits(
        0.4,
        0.0,
        "at least; Fleiss' kappa of the verdicts over the two orders. Warn: below 0.40 agreement is poor "
        "(Fleiss 1981). Fail: the lower end of the 95% interval is not above it, so chance explains the agreement",
    )
    judge_position: Limits = _limits(
        70,
        90,
        "at most; percentage of decided verdicts for the answer in one position. Computed from table 2 of Zheng et al. "
        "(2023, arXiv 2306.05685), GPT-4 has 62, GPT-3.5 73 and Claude-v1 87",
    )
    judge_length: Limits = _limits(
        75,
        90,
        "at most; percentage of decided verdicts for the longer answer. AlpacaEval's table of evaluators has 64 for "
        "people, 68 for GPT-4 and 100 for a judge that only compares lengths",
    )
    judge_unparsed: Limits = _limits(
        2,
        10,
        "at most; percentage of replies without a verdict. If they were counted as wins or losses, W - L would change "
        f"by this many points; {_OWN}",
    )
    judge_errors: Limits = _limits(1, 10, f"at most; percentage of judgements without a reply; {_OWN}")
    judge_sanity_wins: Limits = _limits(
        90,
        50,
        "at least; percentage of sanity comparisons in which an answer beats the answer to another prompt. Warn: the "
        "task is easy, so few errors are expected (our choice). Fail: the lower end of the 95% interval is not above "
        "chance",
    )
    judge_sanity_ties: Limits = _limits(
        90,
        50,
        f"at least; percentage of comparisons of an answer with itself that are ties; {_OWN}. It does not void "
        "the comparison: a preference for one position cancels out over the two orders",
    )
    judge_second: Limits = _limits(
        0.4, 0.0, "at least; Cohen's kappa with the second judge; interpreted like `judge_order_kappa`"
    )
    answers_wrong_language: Limits = _limits(5, 25, f"at most; percentage of a model's answers; {_OWN}")
    answers_truncated: Limits = _limits(5, 25, f"at most; percentage of answers cut off at `max_tokens`; {_OWN}")
    answers_repeat: Limits = _limits(5, 25, f"at most; percentage of answers that repeat themselves; {_OWN}")
    data_wrong_language: Limits = _limits(5, 25, f"at most; percentage of a field's texts in a data set; {_OWN}")
    data_truncated: Limits = _limits(5, 25, f"at most; percentage of a field's texts in a data set; {_OWN}")
    data_repeat: Limits = _limits(5, 25, f"at most; percentage of a field's texts in a data set; {_OWN}")
    data_unrated: Limits = _limits(
        5, 25, f"at most; percentage of a field's translations without a rating, if there is a rater; {_OWN}"
    )
    data_dropped: Limits = _limits(10, 50, f"at most; percentage of the base set that a data set lost; {_OWN}")
    data_unequal: Limits = _limits(
        5, 25, f"at most; percentage by which the smallest data set has fewer pairs than the largest; {_OWN}"
    )
    data_length_ratio: Limits = _limits(
        1.5,
        3,
        "at most; mean tokens of chosen over those of rejected, or the inverse if that is larger. DPO can learn length "
        f"instead of quality (Park et al. 2024, arXiv 2403.19159); {_OWN}",
    )
    training_finite: Limits = _limits(0, 0, "at most; percentage of steps whose loss is not a number")
    training_loss: Limits = _limits(
        0.66,
        0.6931,
        "at most; mean DPO loss over the last quarter of the steps. An untrained policy has log 2 = 0.6931",
    )
    training_accuracy: Limits = _limits(
        60, 50, "at least; percentage of pairs with a positive margin in the last quarter of the steps. Chance is 50"
    )
    training_too_easy: Limits = _limits(
        99,
        None,
        f"at most; the same percentage: at 100 the rejected texts can be distinguished without learning much; {_OWN}",
    )
    training_margin: Limits = _limits(
        None, 0, "at least; mean reward margin (chosen - rejected) in the last quarter of the steps; it starts at 0"
    )
    training_steps: Limits = _limits(30, 5, f"at least; optimiser steps; {_OWN}")
    contamination: Limits = _limits(
        0,
        1,
        "at most; percentage of a data set's prompts that match an evaluation prompt: equal after normalisation, a "
        "common 13-gram (Brown et al. 2020, appendix C) or 70% of its 8-grams (Chowdhery et al. 2022)",
    )
    prompts_informative: Limits = _limits(
        30,
        6,
        "at least; source prompts on which a variant and the base differ. Fail: with fewer than 6 the sign-flip "
        "test cannot reach p = 0.05 (2 / 2^5 = 0.06)",
    )
    detectable: Limits = _limits(
        10, 50, f"at most; smallest true difference in points of W - L that is detected with 80% power; {_OWN}"
    )
