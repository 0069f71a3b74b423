"""Tables of what the diagnostics found: flags, lengths, and the ratings of translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from polypref.config.diagnostics import RATED_FLAGS
from polypref.datasets.diagnostics import FLAGS
from polypref.files.schemas import FIELDS

DIAGNOSED = ("language", "source", *(f"{field}_tokens" for field in FIELDS), "token_gap", "flags")
"""Columns of the diagnostics that the tables are made from."""
ALL = "all"
"""Value of the column ``language`` in the row for all languages together."""
RATING_COLUMNS = [
    "architecture", "language", "field", "translations", "mean", "below_percent", "unrated_percent", "threshold",
]  # fmt: skip


def tabulate_diagnostics(diagnostics: Mapping[str, pd.DataFrame], rated: bool = False) -> pd.DataFrame:
    """Tabulate flag counts and mean lengths per architecture, language and source.

    Parameters
    ----------
    diagnostics : architecture to schema DIAGNOSTICS.
    rated : whether translations have ratings; without them, the flags of ratings are left out.

    Returns
    -------
    architecture, language, source, pairs; ``{field}_tokens`` (means), ``token_gap`` (mean of chosen minus rejected),
    ``chosen_longer`` (share of pairs); and the number of pairs with each of `FLAGS`.
    """
    keys = ["architecture", "language", "source"]
    shown = [flag for flag in FLAGS if rated or flag not in RATED_FLAGS]
    tables = []
    for name in sorted(diagnostics):
        frame = diagnostics[name]
        flags = frame["flags"].map(lambda found: set(found))
        marked = frame.assign(
            architecture=name,
            chosen_longer=(frame["token_gap"] > 0).astype(float),
            **{flag: flags.map(lambda found, flag=flag: flag in found).astype(int) for flag in shown},
        )
        means = [f"{field}_tokens" for field in FIELDS] + ["token_gap", "chosen_longer"]
        groups = marked.groupby(keys, sort=True)
        table = pd.concat([groups.size().rename("pairs"), groups[means].mean(), groups[shown].sum()], axis=1)
        tables.append(table.reset_index())
    return pd.concat(tables, ignore_index=True)


def tabulate_lengths(diagnostics: Mapping[str, pd.DataFrame], languages: Sequence[str]) -> pd.DataFrame:
    """Tabulate the distribution of lengths per architecture, language and field.

    Parameters
    ----------
    diagnostics : architecture to schema DIAGNOSTICS.
    languages : languages in the order of the rows.

    Returns
    -------
    architecture, language, field, pairs, mean, and p5, p25, p50, p75, p95 (percentiles), in tokens of the trainee's
    tokenizer.
    """
    shares = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
    tables = []
    for name in sorted(diagnostics):
        frame = diagnostics[name]
        columns = {f"{field}_tokens": field for field in FIELDS}
        long = frame.rename(columns=columns).melt("language", list(FIELDS), var_name="field", value_name="tokens")
        groups = long.groupby(["language", "field"])["tokens"]
        quantiles = {label: groups.quantile(share) for label, share in shares.items()}
        table = pd.DataFrame({"pairs": groups.size(), "mean": groups.mean(), **quantiles}).reset_index()
        tables.append(table.assign(architecture=name))
    table = pd.concat(tables, ignore_index=True)
    places = {"language": list(languages), "field": list(FIELDS)}
    order = {key: table[key].map(values.index) for key, values in places.items()}
    table = table.iloc[table.assign(**order).sort_values(["architecture", "language", "field"]).index]
    return table[["architecture", "language", "field", "pairs", "mean", *shares]].reset_index(drop=True)


def tabulate_ratings(
    diagnostics: Mapping[str, pd.DataFrame],
    rated: Mapping[str, Sequence[str]],
    languages: Sequence[str],
    threshold: float,
) -> pd.DataFrame:
    """Tabulate the ratings per architecture, language and field.

    Parameters
    ----------
    diagnostics : architecture to language and ``{field}_rating`` of all its pairs; nan if there is no rating.
    rated : architecture to the fields that are translated.
    languages : the languages of translations, in the order of the rows.

    Returns
    -------
    `RATING_COLUMNS`: ``translations`` is the number of pairs, and ``unrated_percent`` the percentage without a rating.
    ``mean`` and ``below_percent`` (lower ratings than the threshold) are of the others, and nan if there are none.
    Each field has a first row with the language `ALL`.
    """
    rows = []
    for name, fields in rated.items():
        frame = diagnostics[name] if fields else None
        for field in fields:
            every = frame[frame["language"].isin(languages)]
            for language in (ALL, *languages):
                found = every if language == ALL else every[every["language"].eq(language)]
                if len(found):
                    numbers = _summary(found[f"{field}_rating"], threshold)
                    rows.append({"architecture": name, "language": language, "field": field, **numbers})
    return pd.DataFrame(rows, columns=RATING_COLUMNS)


def _summary(ratings: pd.Series, threshold: float) -> dict[str, Any]:
    known = ratings.dropna()
    return {
        "translations": len(ratings),
        "mean": known.mean(),
        "below_percent": 100 * (known < threshold).mean(),
        "unrated_percent": 100 * (1 - len(known) / len(ratings)),
        "threshold": threshold,
    }
