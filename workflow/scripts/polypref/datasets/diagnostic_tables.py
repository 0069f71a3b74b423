"""Tables of what the diagnostics found: flags, lengths, and the ratings of translations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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


_KEYS = ["language", "source"]
_SUMS = (*(f"{field}_tokens" for field in FIELDS), "token_gap", "chosen_longer")


def summarise(batches: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Add up the diagnostics of an architecture.

    Parameters
    ----------
    batches : some of the rows with the columns `DIAGNOSED` each.

    Returns
    -------
    Indexed by language and source: ``pairs``; sums of ``{field}_tokens``, ``token_gap`` and ``chosen_longer``; and the
    number of pairs with each of `FLAGS`.
    """
    columns = ["pairs", *_SUMS, *FLAGS]
    total = pd.DataFrame(columns=columns, index=pd.MultiIndex.from_arrays([[], []], names=_KEYS), dtype=float)
    for frame in batches:
        groups = frame.assign(chosen_longer=(frame["token_gap"] > 0).astype(int)).groupby(_KEYS)
        flags = frame[[*_KEYS, "flags"]].explode("flags").dropna().groupby([*_KEYS, "flags"]).size().unstack()
        found = pd.concat([groups.size().rename("pairs"), groups[list(_SUMS)].sum(), flags], axis=1)
        total = total.add(found.reindex(columns=columns).fillna(0), fill_value=0)
    return total


def tabulate_diagnostics(diagnostics: Mapping[str, Iterable[pd.DataFrame]], rated: bool = False) -> pd.DataFrame:
    """Tabulate flag counts and mean lengths per architecture, language and source.

    Parameters
    ----------
    diagnostics : architecture to batches as in :func:`summarise`.
    rated : whether translations have ratings; without them, the flags of ratings are left out.

    Returns
    -------
    architecture, language, source, pairs; ``{field}_tokens`` (means), ``token_gap`` (mean of chosen minus rejected),
    ``chosen_longer`` (share of pairs); and the number of pairs with each of `FLAGS`.
    """
    shown = [flag for flag in FLAGS if rated or flag not in RATED_FLAGS]
    tables = []
    for name in sorted(diagnostics):
        found = summarise(diagnostics[name])
        means = found[list(_SUMS)].div(found["pairs"], axis=0)
        counts = found[["pairs", *shown]].astype(int)
        table = pd.concat([counts[["pairs"]], means, counts[shown]], axis=1).reset_index()
        table.insert(0, "architecture", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def tabulate_lengths(diagnostics: Mapping[str, Iterable[pd.DataFrame]], languages: Sequence[str]) -> pd.DataFrame:
    """Tabulate the distribution of lengths per architecture, language and field.

    Parameters
    ----------
    diagnostics : architecture to batches as in :func:`summarise`.
    languages : languages in the order of the rows.

    Returns
    -------
    architecture, language, field, pairs, mean, and p5, p25, p50, p75, p95 (percentiles), in tokens of the trainee's
    tokenizer.
    """
    shares = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
    rows = []
    for name in sorted(diagnostics):
        counts: dict[tuple[str, str], np.ndarray] = {}
        for frame in diagnostics[name]:
            for language, group in frame.groupby("language"):
                for field in FIELDS:
                    here = np.bincount(group[f"{field}_tokens"])
                    known = counts.get((language, field), here[:0])
                    size = max(len(here), len(known))
                    counts[language, field] = _padded(known, size) + _padded(here, size)
        for (language, field), found in counts.items():
            percentiles = {percentile: _quantile(found, share) for percentile, share in shares.items()}
            pairs, place = int(found.sum()), {"architecture": name, "language": language, "field": field}
            mean = np.arange(len(found)) @ found / pairs
            rows.append({**place, "pairs": pairs, "mean": mean, **percentiles})
    rows.sort(key=lambda row: (row["architecture"], languages.index(row["language"]), FIELDS.index(row["field"])))
    return pd.DataFrame(rows, columns=["architecture", "language", "field", "pairs", "mean", *shares])


def _padded(counts: np.ndarray, size: int) -> np.ndarray:
    return np.pad(counts, (0, size - len(counts)))


def _quantile(counts: np.ndarray, share: float) -> float:
    """Return a quantile of numbers of which ``counts[n]`` are n, interpolated like :func:`numpy.quantile`."""
    below, position = counts.cumsum(), share * (counts.sum() - 1)
    lower, upper = (int(np.searchsorted(below, rank, side="right")) for rank in (np.floor(position), np.ceil(position)))
    return lower + (upper - lower) * (position - np.floor(position))


def tabulate_ratings(
    diagnostics: Mapping[str, Iterable[pd.DataFrame]],
    rated: Mapping[str, Sequence[str]],
    languages: Sequence[str],
    threshold: float,
) -> pd.DataFrame:
    """Tabulate the ratings per architecture, language and field.

    Parameters
    ----------
    diagnostics : architecture to batches of language and ``{field}_rating`` of its pairs; nan if there is no rating.
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
        sums: dict[tuple[str, str], _Ratings] = defaultdict(_Ratings)
        for frame in diagnostics[name] if fields else ():
            for language, found in frame[frame["language"].isin(languages)].groupby("language"):
                for field in fields:
                    sums[field, language].add(found[f"{field}_rating"], threshold)
                    sums[field, ALL].add(found[f"{field}_rating"], threshold)
        for field in fields:
            for language in (ALL, *languages):
                if found := sums.get((field, language)):
                    place = {"architecture": name, "language": language, "field": field}
                    rows.append({**place, **found.summary(), "threshold": threshold})
    return pd.DataFrame(rows, columns=RATING_COLUMNS)


@dataclass
class _Ratings:
    """Sums of ratings: how many translations, how many with a rating, their sum, and how many below the threshold."""

    translations: int = 0
    known: int = 0
    total: float = 0.0
    below: int = 0

    def add(self, ratings: pd.Series, threshold: float) -> None:
        known = ratings.dropna()
        self.translations += len(ratings)
        self.known += len(known)
        self.total += known.sum()
        self.below += int((known < threshold).sum())

    def summary(self) -> dict[str, Any]:
        return {
            "translations": self.translations,
            "mean": self.total / self.known if self.known else np.nan,
            "below_percent": 100 * self.below / self.known if self.known else np.nan,
            "unrated_percent": 100 * (1 - self.known / self.translations),
        }
