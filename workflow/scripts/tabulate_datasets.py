"""Count the preference data: the funnel, which accounts for every row; pairs per data set, language and source; and
the flags, the distribution of lengths and the ratings of translations (if there is a rater) from the diagnostics.

The paths of the files are ``.../{source}.parquet``, ``.../{architecture}.parquet`` and
``.../{native}/{language}.parquet``.
"""

from functools import partial
from pathlib import Path

from polypref.config.sections import ENGLISH
from polypref.datasets.counts import read_lengths, tabulate_dataset_counts, tabulate_funnel
from polypref.datasets.diagnostic_tables import DIAGNOSED, tabulate_diagnostics, tabulate_lengths, tabulate_ratings
from polypref.files import schemas
from polypref.files.result_tables import OnDemand, Pieces, write_csv
from polypref.files.tables import read_json
from polypref.running.logs import job


def _both(kept_path, dropped_path, schema, column) -> tuple:
    """Return the rows that were kept (their ids and another column) and those that were dropped, both in pieces."""
    return Pieces(kept_path, schema, ["item_id", column]), Pieces(dropped_path, schemas.DROPPED)


def _all(kept_paths, dropped_paths, schema, column) -> dict:
    """Return {name: (kept, dropped)} of files matched by name."""
    dropped = {Path(path).name.removesuffix(".dropped.parquet"): path for path in dropped_paths}
    return {Path(path).stem: _both(path, dropped[Path(path).stem], schema, column) for path in kept_paths}


if __name__ == "__main__":
    with job("counts of the data sets", snakemake.log[0]):
        files, languages = snakemake.input, snakemake.params.languages
        named = read_json(files.settings).get("native", {}) if files.get("native") else {}
        native = {
            (Path(path).parent.name, Path(path).stem): _both(path, dropped, schemas.PAIRS, "row")
            for path, dropped in zip(files.get("native", []), files.get("native_dropped", []), strict=True)
        }
        funnel = tabulate_funnel(
            _all(files.sources, files.sources_dropped, schemas.PAIRS, "source"),
            *_both(files.pairs, files.pairs_dropped, schemas.PAIRS, "source"),
            _all(files.datasets, files.datasets_dropped, schemas.DATASET, "language"),
            languages,
            native,
            {(name, code): Path(path).parent.name for name, paths in named.items() for code, path in paths.items()},
        )
        write_csv(funnel, snakemake.output.funnel)
        lengths = OnDemand({Path(path).stem: partial(read_lengths, path) for path in files.datasets})
        write_csv(tabulate_dataset_counts(lengths, languages), snakemake.output.dataset_counts)
        diagnostics = {Path(path).stem: Pieces(path, schemas.DIAGNOSTICS, DIAGNOSED) for path in files.diagnostics}
        rated = snakemake.params.get("rated")
        write_csv(tabulate_diagnostics(diagnostics, bool(rated)), snakemake.output.diagnostics)
        write_csv(tabulate_lengths(diagnostics, languages), snakemake.output.lengths)
        if rated:
            columns = ["language", *(f"{field}_rating" for field in schemas.FIELDS)]
            ratings = {Path(path).stem: Pieces(path, schemas.RATED_DIAGNOSTICS, columns) for path in files.diagnostics}
            targets = [code for code in languages if code != ENGLISH]
            write_csv(tabulate_ratings(ratings, rated, targets, snakemake.params.threshold), snakemake.output.ratings)
