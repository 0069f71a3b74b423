"""Agreement of a judge with itself, over orders and runs, and with another judge."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from polypref.evaluation.bootstrap import DRAWS, bootstrap, cluster_sums, percentile_interval
from polypref.evaluation.win_rates import ALL, CATEGORIES, by_policy, cell_codes, positions
from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError

_ITEM = ["item_id", "policy", "opponent"]


def fleiss(counts: pd.DataFrame, items: pd.Series | None = None) -> tuple[float, float]:
    """Compute Fleiss' kappa (Fleiss 1971) and the share of pairs of ratings that agree.

    Parameters
    ----------
    counts : (rows, categories), the number of ratings of an item in each category; all rows have the same sum.
    items : how many items have the counts of each row; by default, each row is one item.
    """
    raters = counts.sum(axis=1).iloc[0]
    items = pd.Series(1, counts.index) if items is None else items
    agreeing = ((counts**2).sum(axis=1) - raters) @ items
    total, ratings = items.sum(), counts.T @ items
    observed = agreeing / (raters * (raters - 1) * total)
    if (ratings > 0).sum() < 2:
        return np.nan, float(observed)  # only one category occurs: kappa is undefined, because chance agreement is 1
    chance = ((ratings / (raters * total)) ** 2).sum()
    return float((observed - chance) / (1 - chance)), float(observed)


def self_agreement(judged: pd.DataFrame) -> pd.DataFrame:
    """Compute Fleiss' kappa of the judgements of each pair, over runs or, if there is one run, over the two orders.

    At temperature 0 the runs differ only in their order, so kappa measures how much the verdicts depend on the order.

    Parameters
    ----------
    judged : output of :func:`.judgements`: item_id, policy, opponent, run, verdict, status.

    Returns
    -------
    policy, opponent (and ``all``), raters (``runs`` or ``orders``), ratings (per pair), pairs (those with a parsed
    verdict in every rating; the others are excluded), kappa (Fleiss 1971, categories policy, opponent and tie; nan if
    only one category occurs) and agreement_percent (share of pairs of ratings that agree).
    """
    parts = [_count_ratings(own) for _, own in by_policy(judged)]
    ratings = max(most for most, _ in parts)
    whole = pd.concat([counts for _, counts in parts], ignore_index=True)
    cells = whole[["_policy", "_opponent"]].drop_duplicates().itertuples(index=False, name=None)
    whole = whole[whole[list(CATEGORIES)].sum(axis=1).eq(ratings)]
    rows = []
    for policy, opponent in [(ALL, ALL), *cells]:
        here = whole if policy == ALL else whole[whole["_policy"].eq(policy) & whole["_opponent"].eq(opponent)]
        known = len(here) > 0 and ratings > 1
        kappa, observed = fleiss(here[list(CATEGORIES)], here["items"]) if known else (np.nan, np.nan)
        rows.append({
            "policy": policy, "opponent": opponent, "raters": "runs" if judged["run"].nunique() > 1 else "orders",
            "ratings": ratings, "pairs": here["items"].sum(), "kappa": kappa, "agreement_percent": 100 * observed,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _count_ratings(judged: pd.DataFrame) -> tuple[int, pd.DataFrame]:
    """Count the ratings of each pair of answers.

    Returns
    -------
    The largest number of ratings of a pair, parsed or not, and the different counts: _policy, _opponent, the number of
    ratings in each of `CATEGORIES`, and items, the number of pairs with these counts.
    """
    items, _ = pd.factorize(judged.groupby(_ITEM, sort=False).ngroup().to_numpy())
    size, parsed = items.max(initial=-1) + 1, judged["status"].eq("parsed").to_numpy()
    won = positions(judged["verdict"], CATEGORIES)
    counts = np.bincount(3 * items[parsed] + won[parsed], minlength=3 * size).reshape(-1, 3)
    codes, cells = cell_codes(judged, ["policy", "opponent"])
    of_item = np.empty(size, dtype=codes.dtype)
    of_item[items] = codes
    kinds = pd.DataFrame(counts, columns=CATEGORIES).assign(_cell=of_item).groupby(["_cell", *CATEGORIES]).size()
    kinds = kinds.rename("items").reset_index()
    labels = {f"_{name}": cells[name].to_numpy()[kinds["_cell"]] for name in cells}
    return int(np.bincount(items).max(initial=0)), kinds.assign(**labels)


def cohens_kappas(counts: np.ndarray) -> np.ndarray:
    """Compute Cohen's kappa of many contingency tables at once.

    Parameters
    ----------
    counts : (..., k, k), number of judgements by category of the first judge (rows) and of the second (columns).

    Returns
    -------
    Array (...); nan if a table is empty or both judges used only the same single category.
    """
    total = counts.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.trace(counts, axis1=-2, axis2=-1) / total
        expected = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / total**2
        return np.where(expected == 1, np.nan, (observed - expected) / (1 - expected))


def pair_judgements(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Join the verdicts of two judges on the same pairs in the same order.

    Parameters
    ----------
    first, second : schema VERDICTS (``sample`` is optional). The second judge may have judged fewer prompts, but for
        each of its prompts it must have judged everything that the first judge did.

    Returns
    -------
    The rows of `first` for the prompts of `second`, with the columns verdict_second and status_second.

    Raises
    ------
    TableError
        The judges judged different pairs, orders or samples of a prompt.
    """
    keys = [*_ITEM, "order", *(["sample"] if "sample" in first and "sample" in second else [])]
    first = first[first["prompt_id"].isin(second["prompt_id"].unique().tolist())]
    numbers = _number(first[keys], second[keys])
    wrong = [frame[np.isin(own, np.setxor1d(*numbers)) | pd.Series(own).duplicated().to_numpy()]
             for frame, own in zip((first, second), numbers, strict=True)]  # fmt: skip
    if any(map(len, wrong)):
        unlike = dict.fromkeys(" / ".join(map(str, key)) for frame in wrong for key in frame[keys].to_numpy())
        raise TableError(f"verdicts of two judges differ in {name_ids(unlike)}")
    of_second = np.empty(len(second), np.int64)
    of_second[numbers[1]] = np.arange(len(second))
    answered = second[["verdict", "status"]].iloc[of_second[numbers[0]]]
    return first.assign(**{f"{name}_second": answered[name].array for name in answered})


def _number(first: pd.DataFrame, second: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Number the different rows of two data frames with the same columns; equal rows have equal numbers."""
    codes = np.zeros(len(first) + len(second), np.int64)
    for name in first:
        column = union_categoricals([pd.Categorical(frame[name]) for frame in (first, second)])
        codes = pd.factorize(codes * (len(column.categories) + 1) + column.codes)[0]
    return codes[: len(first)], codes[len(first) :]


def judge_agreement(
    first: pd.DataFrame, second: pd.DataFrame, languages: Sequence[str], draws: int = DRAWS, seed: int = 1
) -> pd.DataFrame:
    """Compare two judges, overall, per language and per policy: their agreement, and the difference each one measures.

    Parameters
    ----------
    first, second : as in :func:`pair_judgements`.
    languages : language codes in the order of the rows.
    draws, seed : number of resamples and seed of the bootstrap over source prompts.

    Returns
    -------
    policy, language (``all`` for the aggregates), prompts, judgements (requested from both judges), parsed (those with
    a verdict from both; the following columns use only these), agreement_percent, kappa (Cohen 1960, categories policy,
    opponent and tie; nan if only one category occurs), kappa_low and kappa_high (95%, cluster bootstrap),
    first_difference and second_difference (W - L according to each judge, in percentage points).
    """
    both = pair_judgements(first, second)
    cells = both[["policy", "language"]].drop_duplicates()
    policies = list(dict.fromkeys(cells["policy"]))
    labels = [(ALL, ALL), *((ALL, code) for code in languages if cells["language"].eq(code).any())]
    labels += [(policy, ALL) for policy in policies]
    prompts, names = pd.factorize(both["prompt_id"])
    parsed = both["status"].eq("parsed") & both["status_second"].eq("parsed")
    pair = 3 * positions(both["verdict"], CATEGORIES) + positions(both["verdict_second"], CATEGORIES)
    judged, counts = [], np.zeros((len(names), len(labels), 9))
    for number, (policy, code) in enumerate(labels):
        member = (both["policy"].eq(policy) | (policy == ALL)) & (both["language"].eq(code) | (code == ALL))
        judged.append(int(member.sum()))
        here = (member & parsed).to_numpy()
        sums = cluster_sums(prompts[here], pair[here], np.ones((here.sum(), 1)), (len(names), 9))
        counts[:, number] = sums[..., 0]

    def kappas(block: np.ndarray) -> np.ndarray:
        return cohens_kappas(block.reshape(*block.shape[:-1], 3, 3))

    seen = (counts.sum(axis=2) > 0).sum(axis=0)
    low, high = percentile_interval(bootstrap(counts, kappas, draws, seed), seen)
    total = counts.sum(axis=0).reshape(-1, 3, 3)
    n = np.where(total.any(axis=(1, 2)), total.sum(axis=(1, 2)), np.nan)
    wins = [total.sum(axis=axis)[:, 0] - total.sum(axis=axis)[:, 1] for axis in (2, 1)]
    return pd.DataFrame(labels, columns=["policy", "language"]).assign(
        prompts=seen, judgements=judged, parsed=total.sum(axis=(1, 2)).astype(int),
        agreement_percent=100 * np.trace(total, axis1=1, axis2=2) / n, kappa=cohens_kappas(total),
        kappa_low=low, kappa_high=high, first_difference=100 * wins[0] / n, second_difference=100 * wins[1] / n,
    )  # fmt: skip
