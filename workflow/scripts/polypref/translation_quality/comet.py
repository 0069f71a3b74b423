"""COMET scores. The package and a checkpoint have to be installed separately."""

from collections.abc import Mapping
from importlib import metadata

import pandas as pd

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
    try:
        import comet
    except ImportError as error:
        raise TableError("COMET is not installed; install it with: pip install unbabel-comet") from error
    path = checkpoint if checkpoint.endswith(".ckpt") else comet.download_model(checkpoint)
    model, found = comet.load_from_checkpoint(path), {}
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
