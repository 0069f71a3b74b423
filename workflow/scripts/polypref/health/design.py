"""Checks of the experimental design: are there enough prompts to detect the observed differences?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from polypref.evaluation.power import ALPHA
from polypref.evaluation.win_rates import ALL
from polypref.health.checks import Row, row


def design_checks(improvement: pd.DataFrame, paired: pd.DataFrame, limits: Mapping[str, Any]) -> list[Row]:
    """Check the statistical power of the comparison of each variant with the base, and the correction of its tests.

    Parameters
    ----------
    improvement : table improvement_by_language.
    paired : output of :func:`polypref.evaluation.improvement.paired_differences`.
    """
    overall = improvement[improvement["opponent"].eq(ALL) & improvement["language"].eq(ALL)]
    rows = []
    for found in overall.itertuples():
        changed = paired.loc[paired["policy"].eq(found.policy) & paired["improvement"].ne(0), "prompt_id"].nunique()
        message = f"{found.policy} and the base differ on {changed:,} of {found.prompts:,} source prompts"
        rows.append(row("prompts_informative", found.policy, changed, limits, message))
        message = (
            f"a true difference of {found.policy} below {found.detectable_adjusted:.0f} points would be missed more "
            f"often than once in five; {abs(found.improvement):.1f} points were measured"
        )
        rows.append(row("detectable", found.policy, found.detectable_adjusted, limits, message))
    if len(overall):
        least, corrected = overall["p_value"].min(), overall["p_adjusted"].min()
        lost = least <= ALPHA < corrected
        message = f"the smallest of {len(overall)} p-values is {least:.2g}, and {corrected:.2g} after correction"
        rows.append(row("several_tests", ALL, corrected, limits, message, status="warn" if lost else "pass"))
    return rows
