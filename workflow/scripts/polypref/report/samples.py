"""Some preference pairs, side by side: the English original and what each architecture made of it."""

from collections.abc import Mapping, Sequence

import pandas as pd

from polypref.schemas import FIELDS


def sample_items(
    pairs: pd.DataFrame, datasets: Mapping[str, pd.DataFrame], languages: Sequence[str], count: int
) -> list[dict]:
    """Choose items and lay them out by language.

    The same items in every language: the first by ``item_id``, which is a digest and so as good as a draw. Items that
    every architecture has in every language come first.

    Parameters
    ----------
    pairs : English base set, schema PAIRS.
    datasets : architecture to schema DATASET.
    languages : order of the result.
    count : items per language.

    Returns
    -------
    One dict per language with ``language`` and ``items``; an item has ``item_id``, ``source`` and ``rows``, one for
    each of prompt, chosen, rejected: ``field``, ``original`` and ``texts`` (architecture to text, None where left out).
    """
    held = pd.concat([frame[["item_id"]] for frame in datasets.values()])["item_id"].value_counts()
    ranked = pairs.assign(held=pairs["item_id"].map(held).fillna(0))
    chosen = ranked.sort_values(["held", "item_id"], ascending=[False, True]).head(count)
    lookup = {
        (name, row.language, row.item_id): row
        for name, frame in datasets.items()
        for row in frame[frame["item_id"].isin(chosen["item_id"])].itertuples()
    }
    return [
        {"language": language, "items": [_item(pair, lookup, list(datasets), language) for pair in chosen.itertuples()]}
        for language in languages
    ]


def _item(pair, lookup: dict, architectures: list[str], language: str) -> dict:
    """One item in one language."""
    found = {name: lookup.get((name, language, pair.item_id)) for name in architectures}
    rows = [
        {
            "field": field,
            "original": getattr(pair, field),
            "texts": {name: None if row is None else getattr(row, field) for name, row in found.items()},
        }
        for field in FIELDS
    ]
    return {"item_id": pair.item_id, "source": pair.source, "rows": rows}
