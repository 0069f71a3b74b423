"""Keep the pairs of a data set that are in the data sets of all architectures, and drop the others."""

from pathlib import Path

from polypref.datasets.dropping import dropped_rows, missing_elsewhere
from polypref.files.schemas import DATASET, DROPPED, PAIRS
from polypref.files.tables import TableError, by_id, iter_rows, read_rows, write_table
from polypref.running.logs import job

if __name__ == "__main__":
    name, files = snakemake.wildcards.architecture, snakemake.input
    with job(f"align data set {name}", snakemake.log[0]) as terminal:
        keys = {
            Path(path).stem: {
                (row["item_id"], row["language"]) for row in iter_rows(path, DATASET, ["item_id", "language"])
            }
            for path in files.datasets
        }
        missing = missing_elsewhere(name, keys)
        (own,) = [path for path in files.datasets if Path(path).stem == name]
        rows = (row for row in iter_rows(own, DATASET) if (row["item_id"], row["language"]) not in missing)
        kept = write_table(snakemake.output.dataset, rows, DATASET)
        if not kept:
            raise TableError(
                f"{own}: no pair is in every data set. Set diagnostics.align to false, or drop pairs for fewer flags."
            )
        pairs = by_id(read_rows(files.pairs, PAIRS), "the base set")
        write_table(
            snakemake.output.dropped, [*read_rows(files.dropped, DROPPED), *dropped_rows(missing, pairs)], DROPPED
        )
        terminal.report(f"{kept:,} rows are in every data set, {len(missing):,} are not")
