"""The table of ratings: how good the translations in each data set are according to the rater."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

ALL = "all"
"""Value of the column ``language`` in the row for all languages together."""
COLUMNS = ["architecture", "language", "field", "translations", "mean", "below_percent", "unrated_percent", "threshold"]


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
    `COLUMNS`: ``translations`` is the number of pairs, and ``unrated_percent`` the percentage of them without a rating.
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
    return pd.DataFrame(rows, columns=COLUMNS)


def _summary(ratings: pd.Series, threshold: float) -> dict[str, Any]:
    known = ratings.dropna()
    return {
        "translations": len(ratings),
        "mean": known.mean(),
        "below_percent": 100 * (known < threshold).mean(),
        "unrated_percent": 100 * (1 - len(known) / len(ratings)),
        "threshold": threshold,
    }
