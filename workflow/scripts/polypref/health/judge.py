"""Checks of the judge: does it compare the answers, or does it decide by position, by length or at random?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from polypref.evaluation.agreement import cohens_kappas
from polypref.evaluation.bootstrap import bootstrap, cluster_sums, percentile_interval
from polypref.evaluation.win_rates import ALL, PAIR, position_bias, verdicts_in_both_orders
from polypref.health.checks import VERDICTS, Row, row
from polypref.requests.sanity import ITSELF, OTHER


def order_kappa(verdicts: pd.DataFrame, draws: int = 2000, seed: int = 1) -> dict[str, float]:
    """Compute the agreement of the verdicts on the same two answers in both orders.

    Parameters
    ----------
    verdicts : schema VERDICTS; if there are several replies in one order, only the first is used.

    Returns
    -------
    pairs; kappa (Fleiss' for two ratings; nan if all verdicts are equal); low (lower end of its 95% interval from a
    cluster bootstrap over source prompts); changed (percentage of pairs whose verdict changed); and accuracy, the
    estimated percentage of correct verdicts. The estimate uses the agreement on pairs without a tie in either order and
    assumes independent errors in the two orders; it is nan if the agreement is below chance.
    """
    both = verdicts_in_both_orders(verdicts, PAIR)
    found = {"pairs": len(both), "kappa": np.nan, "low": np.nan, "changed": np.nan, "accuracy": np.nan}
    if both.empty:
        return found
    first, second = both["first"].to_numpy(), both["second"].to_numpy()
    prompts, names = pd.factorize(verdicts["prompt_id"].iloc[both["row"]].astype(str), sort=True)
    counts = cluster_sums(prompts, 3 * first + second, np.ones((len(both), 1)), (len(names), 9))[..., 0][:, None]

    def kappas(block: np.ndarray) -> np.ndarray:
        tables = block.reshape(*block.shape[:-1], 3, 3)
        return cohens_kappas(tables + tables.swapaxes(-1, -2))  # symmetrised: Fleiss' kappa of two ratings

    resampled = bootstrap(counts, kappas, draws, seed)
    low, _ = percentile_interval(np.nan_to_num(resampled, nan=0.0), np.array([len(names)]))
    decided = (first < 2) & (second < 2)
    agree = float((first == second)[decided].mean()) if decided.any() else math.nan
    return found | {
        "kappa": float(kappas(counts.sum(axis=0))[0]), "low": float(low[0]),
        "changed": 100 * float((first != second).mean()),
        "accuracy": 50 * (1 + math.sqrt(2 * agree - 1)) if agree >= 0.5 else math.nan,
    }  # fmt: skip


def _agreement(verdicts: pd.DataFrame, limits: Mapping[str, Any]) -> Row:
    found = order_kappa(verdicts)
    kappa, low = found["kappa"], found["low"]
    if found["pairs"] and math.isnan(kappa):
        only = verdicts.loc[verdicts["status"].eq("parsed"), "verdict"].iloc[0]
        message = f"the judge gave the same verdict ({only}) to every pair"
        return row("judge_order_kappa", ALL, 0.0, limits, message, status="fail")
    message = (
        f"shown the same two answers in the other order, the judge changed its verdict in {found['changed']:.0f}% of "
        f"{found['pairs']:,} pairs (kappa {kappa:.2f})"
    )
    graded = row("judge_order_kappa", ALL, kappa, limits, message, tested=None if math.isnan(low) else low)
    if graded["status"] == "fail":
        graded["message"] += ", so its agreement is no better than chance"
    elif not math.isnan(found["accuracy"]) and graded["status"] == "warn":
        graded["message"] += f", as expected of a judge that is right about {found['accuracy']:.0f}% of the time"
    return graded


def _sanity(sanity: pd.DataFrame, limits: Mapping[str, Any]) -> list[Row]:
    parsed = sanity[sanity["status"].eq("parsed")]
    of_other, of_itself = (parsed[parsed["policy"].eq(kind)] for kind in (OTHER, ITSELF))
    if of_other.empty:
        return []
    right = int(of_other["verdict"].eq("policy").sum())
    low = proportion_confint(right, len(of_other), method="wilson")[0]
    share, ties = 100 * right / len(of_other), 100 * of_itself["verdict"].eq("tie").mean()
    wins = row(
        "judge_sanity_wins", ALL, share, limits, tested=100 * low,
        message=f"in {share:.0f}% of {len(of_other):,} comparisons with a known winner, the judge preferred the answer "
        "to the prompt over an answer to another prompt",
    )  # fmt: skip
    tied = row(
        "judge_sanity_ties",
        ALL,
        ties,
        limits,
        f"in {ties:.0f}% of cases, the judge called a comparison of an answer with itself a tie",
    )
    return [wins, tied]


def judge_checks(
    verdicts: pd.DataFrame, sanity: pd.DataFrame, length: pd.DataFrame, agreement: pd.DataFrame | None,
    limits: Mapping[str, Any],
) -> list[Row]:  # fmt: skip
    """Check the judge.

    Parameters
    ----------
    verdicts, sanity : verdicts on the policies' answers and on the sanity set, schema VERDICTS.
    length : table length_bias.
    agreement : table judge_agreement, or None if there is no second judge.
    limits : check to [warn, fail].
    """
    bias = position_bias(verdicts).iloc[0]
    decided = bias["first_percent"] + bias["second_percent"]
    first = 100 * bias["first_percent"] / decided if decided else math.nan
    position, share = ("first", first) if not first < 50 else ("second", 100 - first)
    rows = [row("judge_position", ALL, share, limits,
                f"the judge chose the answer shown {position} in {share:.0f}% of its decided verdicts")]  # fmt: skip
    longer = length.loc[length["policy"].eq(ALL), "longer_percent"].iloc[0]
    side, share = ("longer", longer) if not longer < 50 else ("shorter", 100 - longer)
    rows.append(row("judge_length", ALL, share, limits,
                    f"the judge chose the {side} answer in {share:.0f}% of its decided verdicts",
                    link=f"{VERDICTS}&outcome={side}"))  # fmt: skip
    rows += [_agreement(verdicts, limits), *_sanity(sanity, limits)]
    shares = 100 * verdicts["status"].value_counts(normalize=True)
    unparsed, errors = (float(shares.get(name, 0.0)) for name in ("unparsed", "error"))
    rows.append(
        row("judge_unparsed", ALL, unparsed, limits, f"{unparsed:.1f}% of the judge's replies cannot be parsed")
    )
    rows.append(row("judge_errors", ALL, errors, limits, f"{errors:.1f}% of the judgements have no reply"))
    if agreement is not None and len(agreement):
        both = agreement.iloc[0]
        low = None if math.isnan(both["kappa_low"]) else both["kappa_low"]
        message = f"the two judges agree in {both['agreement_percent']:.0f}% of judgements (kappa {both['kappa']:.2f})"
        rows.append(row("judge_second", ALL, both["kappa"], limits, message, tested=low))
    return rows
