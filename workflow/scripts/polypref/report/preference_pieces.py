"""Write the data of the reader: each English pair, and its versions in every architecture and language.

``items`` lists the pairs, ``original-NNN`` contains the English texts, and ``reader-LANGUAGE`` the flags and the
reasons for dropping pairs. Each ``reader-LANGUAGE-NNN`` contains the distinct texts of some pairs.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polypref.datasets.diagnostics import FLAGS
from polypref.files.conversations import to_transcript
from polypref.files.schemas import FIELDS
from polypref.report.pieces import Numbers, snippet, write_piece, write_rows
from polypref.report.preference_files import Preferences, Versions


def write_preferences(folder: Path, preferences: Preferences) -> None:
    """Write the reader's pieces."""
    items = []

    def texts() -> Iterator[list[str]]:
        for row, code in preferences.items():
            prompt = to_transcript(row["prompt"])
            items.append([row["item_id"], row["source"], row["task"], snippet(prompt), *([code] if code else [])])
            yield [prompt, row["chosen"], row["rejected"]]

    originals = write_rows(folder, "original", texts())
    architectures = list(preferences.datasets)
    write_piece(
        folder,
        "items",
        {"architectures": architectures, "flags": list(FLAGS), "original": originals, "items": items},
    )
    ids = [item[0] for item in items]
    for language in preferences.languages:
        _write_language(folder, language, ids, preferences.of_language(language))


def _write_language(folder: Path, language: str, ids: list[str], here: list[Versions]) -> None:
    """Write the pieces of one language; ``counts``, only of a sample, counts flags of all pairs by architecture."""
    made, reasons = Numbers(), Numbers([""])
    rows = zip(*(versions.rows(ids) for versions in here), strict=True)
    starts = write_rows(folder, f"reader-{language}", (_item(own, made) for own in rows))
    counts = [versions.counts for versions in here]
    index = {
        "starts": starts,
        "made": [_made_by(provenance) for provenance in made.values],
        "flags": [[versions.flags.get(item, 0) for item in ids] for versions in here],
        "left": [[reasons(versions.reasons.get(item, "")) for item in ids] for versions in here],
        "reasons": reasons.values,
        **({"counts": counts} if any(counts) else {}),
    }
    write_piece(folder, f"reader-{language}", index)


def _item(rows: Sequence[tuple[dict[str, Any] | None, list[Any] | None]], made: Numbers) -> list[Any]:
    """Return the distinct texts of a pair, and the indices of texts and provenance and the signals by architecture."""
    texts, cells, signals = Numbers(), [], []
    for row, signs in rows:
        numbers = None
        if row:
            numbers = [
                *(texts(row[field]) for field in FIELDS),
                *(made(row[f"{field}_provenance"]) for field in FIELDS),
            ]
        cells.append(numbers)
        signals.append(signs and list(map(_or_null, signs)))
    return [texts.values, cells, signals]


def _or_null(value: Any) -> Any:
    """Replace nan, for which JSON has no number, by None."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _made_by(provenance: str) -> str:
    """Describe the model, revision and decoding of a text in one line."""
    made = json.loads(provenance)
    if made["model"] == "source":
        return "the English original"
    if made["model"] == "native":
        return "written in the language"
    revision = f" at {str(made['revision'])[:12]}" if made.get("revision") else ""
    return f"{made['model']}: {made.get('checkpoint') or ''}{revision} {made.get('decoding') or ''}".strip()
