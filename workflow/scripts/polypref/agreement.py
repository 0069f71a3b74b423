"""Whether a judge agrees with itself over orders and runs, and with another judge."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from polypref.result_tables import TableError, name_ids
from polypref.win_rates import ALL

CATEGORIES = ("policy", "opponent", "tie")
_ITEM = ["item_id", "policy", "opponent"]


def fleiss(counts: pd.DataFrame) -> tuple[float, float]:
    """Fleiss' kappa and the share of equal pairs of ratings.

    Parameters
    ----------
    counts : (items, categories), how many ratings of an item are in a category; every row has the same sum.
    """
    raters = counts.sum(axis=1).iloc[0]
    observed = ((counts**2).sum(axis=1) - raters).div(raters * (raters - 1)).mean()
    if (counts.sum() > 0).sum() < 2:
        return np.nan, float(observed)  # one category alone: agreement by chance is certain
    return float(fleiss_kappa(counts.to_numpy(dtype=float))), float(observed)


def self_agreement(judged: pd.DataFrame) -> pd.DataFrame:
    """Fleiss' kappa of the judgements of each pair: over runs, or over the two orders where both are one run.

    At temperature 0 the runs differ only by their order, and kappa says how much the order decides.

    Parameters
    ----------
    judged : output of :func:`polypref.win_rates.judgements`: item_id, policy, opponent, run, verdict, status.

    Returns
    -------
    policy, opponent (and ``all``), raters (``runs`` or ``orders``), ratings (per pair), pairs (with a parsed verdict in
    every rating; the others are left out), kappa (Fleiss 1971, categories policy, opponent and tie; statsmodels; nan
    where one category is all there is) and agreement_percent (pairs of ratings that are equal).
    """
    parsed = judged[judged["status"].eq("parsed")]
    counts = pd.crosstab([parsed[name] for name in _ITEM], "won_by_" + parsed["verdict"])
    columns = [f"won_by_{name}" for name in CATEGORIES]
    counts = counts.reindex(columns=columns, fill_value=0)
    ratings = int(judged.groupby(_ITEM).size().max())
    counts = counts[counts.sum(axis=1) == ratings].reset_index()
    rows = []
    pairs = judged[["policy", "opponent"]].drop_duplicates().itertuples(index=False, name=None)
    for policy, opponent in [(ALL, ALL), *pairs]:
        here = counts
        if policy != ALL:
            here = counts[counts["policy"].eq(policy) & counts["opponent"].eq(opponent)]
        known = len(here) > 0 and ratings > 1
        kappa, observed = fleiss(here[columns]) if known else (np.nan, np.nan)
        rows.append({
            "policy": policy, "opponent": opponent, "raters": "runs" if judged["run"].nunique() > 1 else "orders",
            "ratings": ratings, "pairs": len(here), "kappa": kappa, "agreement_percent": 100 * observed,
        })  # fmt: skip
    return pd.DataFrame(rows)


def judge_agreement(first: pd.DataFrame, second: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Agreement between two judges on the same pairs in the same order.

    Parameters
    ----------
    first, second : one row per judgement: item_id, policy, opponent, order, verdict, status.
    by : columns to group by, for example ``["language"]``; with none, one row for all.

    Returns
    -------
    `by`, judgements (both parsed), agreement_percent, kappa (Cohen 1960, statsmodels).

    Raises
    ------
    TableError
        The judges saw different pairs or orders.
    """
    keys = [*_ITEM, "order"]
    seen = [set(map(tuple, frame[keys].to_numpy())) for frame in (first, second)]
    if seen[0] != seen[1]:
        raise TableError(f"verdicts of two judges differ in {name_ids(map(' / '.join, seen[0] ^ seen[1]))}")
    both = first.merge(second[[*keys, "verdict", "status"]], on=keys, suffixes=("", "_second"), validate="one_to_one")
    both = both[both["status"].eq("parsed") & both["status_second"].eq("parsed")]
    rows = []
    for key, here in both.groupby(list(by), sort=False) if by else [((), both)]:
        table = pd.crosstab(here["verdict"], here["verdict_second"])
        table = table.reindex(index=list(CATEGORIES), columns=list(CATEGORIES), fill_value=0).to_numpy()
        same = np.trace(table) / max(table.sum(), 1)
        kappa = np.nan if same == 1 and (table.sum(axis=0) > 0).sum() < 2 else cohens_kappa(table).kappa
        rows.append({**dict(zip(by, key, strict=True)), "judgements": len(here), "agreement_percent": 100 * same,
                     "kappa": kappa})  # fmt: skip
    return pd.DataFrame(rows)
