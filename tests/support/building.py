"""Build a data set from rows instead of tables."""

import pyarrow as pa

from polypref.datasets import building
from polypref.files.schemas import DIAGNOSTICS, PAIRS, TEXTS
from polypref.files.table_writer import to_table

FLAGS = pa.schema([DIAGNOSTICS.field(name) for name in ("item_id", "language", "flags")])


def table_of(rows: list[dict] | None) -> pa.Table | None:
    """Return rows in TEXTS as a table."""
    return None if rows is None else to_table(rows, TEXTS)


def build_dataset(
    pairs: list[dict], texts: dict, drop=("chosen_equals_rejected",), flags=None, native=()
) -> tuple[list, list]:
    """Return the rows of all languages; ``texts``: {language: {field: rows or None}}; ``flags``: by (id, language).

    The texts of a language may be in any order.
    """
    kept, dropped = [], []
    for language in sorted(texts):
        fields = {name: table_of(rows) for name, rows in texts[language].items()}
        found = [{"item_id": item, "flags": names} for (item, code), names in (flags or {}).items() if code == language]
        marked = to_table(found, FLAGS) if flags else None
        rows, left = building.build_dataset(to_table(pairs, PAIRS), fields, language, drop, marked, language in native)
        kept += rows.to_pylist()
        dropped += left.to_pylist()
    return kept, dropped
