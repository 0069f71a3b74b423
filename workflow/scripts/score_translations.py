"""Score every translator's output with BLEU and chrF++, on WMT24++ or the user's own test set.

Reads the segments and the translations of all languages, writes one row per translator and language, and one per
language, metric and pair of translators. The paths of the files are ``.../{translator}/{language}.parquet`` and
``.../{language}.parquet``.
"""

from pathlib import Path

import pyarrow.parquet as pq

from polypref.files import schemas
from polypref.files.result_tables import read_frame, write_csv
from polypref.running.logs import job
from polypref.translation_quality.comet import add_comet
from polypref.translation_quality.scores import score_translations


def read_segments(path):
    """Read segments, with all references if there are several."""
    several = "references" in pq.read_schema(path).names
    return read_frame(path, schemas.OWN_SEGMENTS if several else schemas.SEGMENTS)


if __name__ == "__main__":
    with job("scores of the translations", snakemake.log[0]):
        segments = {Path(path).stem: read_segments(path) for path in snakemake.input.segments}
        translations = {
            (Path(path).parent.name, Path(path).stem): read_frame(path, schemas.TEXTS)
            for path in snakemake.input.translations
        }
        scores, comparisons = score_translations(segments, translations, snakemake.params.tokenizers, snakemake.threads)
        if snakemake.params.comet:
            scores = add_comet(scores, segments, translations, snakemake.params.comet)
        write_csv(scores, snakemake.output.scores)
        write_csv(comparisons, snakemake.output.comparisons)
