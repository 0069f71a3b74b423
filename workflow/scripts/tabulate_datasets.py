"""Count the preference data: the funnel with every row accounted for, pairs per data set, language and source, and what
the diagnostics found in them: flags, and the distribution of lengths.

Files are named by their path: ``.../{source}.parquet`` and ``.../{architecture}.parquet``.
"""

from pathlib import Path

from polypref.datasets.counts import tabulate_dataset_counts, tabulate_funnel
from polypref.datasets.diagnostics import tabulate_diagnostics, tabulate_lengths
from polypref.files import schemas
from polypref.files.result_tables import read_frame, write_csv
from polypref.files.tables import read_json
from polypref.running.logs import job


def _read_both(kept_paths, dropped_paths, schema) -> dict:
    """Name to (kept, dropped), matched by file name."""
    dropped = {Path(path).name.removesuffix(".dropped.parquet"): path for path in dropped_paths}
    return {
        Path(path).stem: (read_frame(path, schema), read_frame(dropped[Path(path).stem], schemas.DROPPED))
        for path in kept_paths
    }


if __name__ == "__main__":
    with job("counts of the data sets", snakemake.log[0]):
        files, languages = snakemake.input, snakemake.params.languages
        datasets = _read_both(files.datasets, files.datasets_dropped, schemas.DATASET)
        named = read_json(files.settings).get("native", {}) if files.get("native") else {}
        native = {
            (name, code): read_frame(path, schemas.PAIRS)
            for name, paths in named.items()
            for code, path in paths.items()
        }
        funnel = tabulate_funnel(
            _read_both(files.sources, files.sources_dropped, schemas.PAIRS),
            read_frame(files.pairs, schemas.PAIRS),
            read_frame(files.pairs_dropped, schemas.DROPPED),
            datasets,
            languages,
            native,
        )
        write_csv(funnel, snakemake.output.funnel)
        counts = tabulate_dataset_counts({name: kept for name, (kept, _) in datasets.items()}, languages)
        write_csv(counts, snakemake.output.dataset_counts)
        diagnostics = {Path(path).stem: read_frame(path, schemas.DIAGNOSTICS) for path in files.diagnostics}
        write_csv(tabulate_diagnostics(diagnostics), snakemake.output.diagnostics)
        write_csv(tabulate_lengths(diagnostics, languages), snakemake.output.lengths)
