"""Results of policies that were trained with several seeds: win rates over the seeds, and the table of each seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from polypref.evaluation.bootstrap import DRAWS
from polypref.evaluation.estimates import BOUNDED, BOUNDS, MACRO, POOLED, WORTH, estimate_rates
from polypref.evaluation.improvement import tabulate_improvement
from polypref.evaluation.seeds import added_variance, contributions, seed_sums, widen
from polypref.evaluation.trained import Trained
from polypref.evaluation.win_rates import ALL

MEAN = "mean"
"""The seed of the rows with the mean over seeds."""
_KEYS = ["policy", "opponent", "language"]
_RATES = ["win_percent", "tie_percent", "unparsed_percent", "loss_percent", "difference"]


def widen_rates(estimates: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Widen the intervals and errors of rates by the variance between training seeds.

    Parameters
    ----------
    estimates : output of :func:`polypref.evaluation.estimates.estimate_rates`.
    judged : its judgements, with a column ``seed``.
    """
    judged = judged[judged["status"].ne("error")].reset_index(drop=True)
    verdict = judged["verdict"]
    worth = judged["points"] if "points" in judged else verdict.map(WORTH)
    won, lost = (100.0 * verdict.eq(name) for name in ("policy", "opponent"))
    values = pd.DataFrame(dict(zip(BOUNDED, (won, lost, won - lost, 100 * worth), strict=True)))
    prompts, rows = pd.Index(judged["prompt_id"].unique()), estimates.copy()
    for policy, own in judged.groupby("policy", sort=False):
        seeds = pd.Index(own["seed"].unique())
        if len(seeds) == 1:
            continue
        for number in rows.index[rows["policy"].eq(policy)]:
            row = rows.loc[number]
            here = own if row["opponent"] == ALL else own[own["opponent"].eq(row["opponent"])]
            cells = [here if row["language"] == ALL else here[here["language"].eq(row["language"])]]
            if row["average"] == MACRO:
                cells = [cell for _, cell in here.groupby("language")]
            parts = [contributions(seed_sums(cell, values.loc[cell.index], prompts, seeds)) for cell in cells]
            added = added_variance(np.mean(parts, axis=0))
            for name, variance, lowest, highest in zip(BOUNDED, added, *BOUNDS, strict=True):
                low, high = widen(row[f"{name}_low"], row[f"{name}_high"], row[name], variance, len(seeds))
                rows.loc[number, [f"{name}_low", f"{name}_high"]] = max(low, lowest), min(high, highest)
                if f"{name}_error" in rows:
                    rows.loc[number, f"{name}_error"] = np.hypot(row[f"{name}_error"], np.sqrt(variance))
            rows.loc[number, "interval"] = f"{row['interval']}, {len(seeds)} seeds"
    return rows


def tabulate_seeds(
    judged: pd.DataFrame, paired: pd.DataFrame, estimates: pd.DataFrame, improvement: pd.DataFrame, trained: Trained,
    languages: Sequence[str], draws: int = DRAWS, seed: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Tabulate win rates and improvement of each seed, and their means over the seeds.

    Parameters
    ----------
    judged, paired : judgements and paired differences of the policies, by the names of their files.
    estimates, improvement : tables of the means over the seeds of each architecture.
    languages, draws, seed : see :func:`polypref.evaluation.improvement.tabulate_improvement`.

    Returns
    -------
    policy (the architecture), seed (``mean`` in the rows with the means), opponent, language (both with ``all``), the
    shares in percent, difference (W - L), improvement, low and high. The intervals of a seed are about its trained
    model, those of the mean about the architecture.
    """
    own = judged[judged["policy"].isin(set(paired["policy"]))]
    each = _joined(estimate_rates(own, draws, seed), tabulate_improvement(paired, languages, draws, seed))
    labels = each["policy"].map(trained.label)
    each = each.assign(policy=each["policy"].map(trained.architecture), seed=labels.str.rpartition(".s")[2])
    means = _joined(estimates, improvement).assign(seed=MEAN)
    table = pd.concat([each, means], ignore_index=True)
    order = {name: list(dict.fromkeys(means[name])) for name in _KEYS}
    places = {name: table[name].map(order[name].index) for name in _KEYS}
    number = pd.to_numeric(table["seed"], errors="coerce").fillna(np.inf)
    table = table.iloc[np.lexsort((number, *(places[name] for name in reversed(_KEYS))))]
    return table[["policy", "seed", "opponent", "language", *_RATES, "improvement", "low", "high"]]


def _joined(estimates: pd.DataFrame, improvement: pd.DataFrame) -> pd.DataFrame:
    rates = estimates[estimates["average"].isin(["", POOLED])]
    return improvement[[*_KEYS, "improvement", "low", "high"]].merge(rates[[*_KEYS, *_RATES]], on=_KEYS, how="left")
