"""COMET scores, and ratings by COMETKiwi. The package and a checkpoint have to be installed separately."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import pandas as pd

from polypref.files.conversations import to_transcript
from polypref.files.result_tables import TableError
from polypref.translation_quality.scores import align


def add_comet(
    scores: pd.DataFrame,
    segments: Mapping[str, pd.DataFrame],
    translations: Mapping[tuple[str, str], pd.DataFrame],
    checkpoint: str,
) -> pd.DataFrame:
    """Add the mean COMET score of each translator and language, and the signature of the metric.

    Parameters
    ----------
    scores : one row per translator and language.
    segments, translations : as for :func:`.score_translations`; the segments also need ``source``.
    checkpoint : a COMET checkpoint: a local .ckpt file or a name on the Hub, for example ``Unbabel/wmt22-comet-da``.

    Returns
    -------
    `scores` with comet (mean over segments, times 100) and signature_comet (package, version and checkpoint).

    Raises
    ------
    TableError
        The package ``unbabel-comet`` is not installed, or a segment has no source.
    """
    model, found = _load(checkpoint), {}
    for (translator, language), texts in translations.items():
        here = segments[language]
        if "source" not in here or here["source"].eq("").any():
            raise TableError(f"COMET needs the source of every segment; {language} lacks some")
        aligned = align(here, texts, f"{translator}, {language}")
        rows = [{"src": source, "mt": text, "ref": reference}
                for source, text, reference in zip(here["source"], aligned["hypothesis"], aligned["reference"],
                                                   strict=True)]  # fmt: skip
        found[translator, language] = 100 * float(model.predict(rows, progress_bar=False).system_score)
    keys = zip(scores["translator"], scores["language"], strict=True)
    signature = f"unbabel-comet:{metadata.version('unbabel-comet')}|checkpoint:{checkpoint}"
    return scores.assign(comet=[found[key] for key in keys], signature_comet=signature)


def rate_by_comet(
    sources: Mapping[str, str], translations: Sequence[Mapping[str, Any]], checkpoint: str
) -> list[dict[str, Any]]:
    """Rate translations without a reference.

    Parameters
    ----------
    sources : ``item_id`` to the English text.
    translations : rows in TEXTS; those with an ``error`` get no rating.
    checkpoint : a COMETKiwi checkpoint, as in :func:`add_comet`.

    Returns
    -------
    Rows in RATINGS; a rating is the score times 100, limited to 0 to 100.

    Raises
    ------
    TableError
        The package ``unbabel-comet`` is not installed.
    """
    rated = [row for row in translations if not row["error"]]
    asked = [{"src": to_transcript(sources[row["item_id"]]), "mt": to_transcript(row["text"])} for row in rated]
    scores = _load(checkpoint).predict(asked, progress_bar=False).scores if asked else []
    found = {row["item_id"]: min(max(100 * float(score), 0.0), 100.0) for row, score in zip(rated, scores, strict=True)}
    made = {"reply": "", "prompt_tokens": 0, "completion_tokens": 0, "model": "COMETKiwi", "checkpoint": checkpoint,
            "revision": None, "decoding": "{}"}  # fmt: skip
    return [
        {
            **made,
            "item_id": row["item_id"],
            "language": row["language"],
            "rating": found.get(row["item_id"]),
            "status": "parsed" if row["item_id"] in found else "error",
            "error": "the translation is missing" if row["error"] else None,
        }
        for row in translations
    ]


def _load(checkpoint: str) -> Any:
    """Load a checkpoint: a local .ckpt file, or a name on the Hub."""
    try:
        import comet
    except ImportError as error:
        raise TableError("COMET is not installed; install it with: pip install unbabel-comet") from error
    return comet.load_from_checkpoint(checkpoint if checkpoint.endswith(".ckpt") else comet.download_model(checkpoint))
