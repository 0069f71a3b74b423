"""Keep the pairs of a data set that are in the data sets of all architectures, and drop the others."""

from pathlib import Path

from polypref.datasets.aligning import align
from polypref.files.schemas import DATASET, DROPPED
from polypref.files.table_writer import open_table
from polypref.files.tables import TableError, iter_batches, read_ahead
from polypref.running.logs import job

if __name__ == "__main__":
    name, files, made = snakemake.wildcards.architecture, snakemake.input, snakemake.output
    with job(f"align data set {name}", snakemake.log[0]) as terminal:
        others = {Path(path).stem: path for path in files.datasets}
        own = others.pop(name)
        with open_table(made.dataset, DATASET) as dataset, open_table(made.dropped, DROPPED) as dropped:
            for table in iter_batches(files.dropped, DROPPED):
                dropped.write(table)
            before = dropped.rows
            for kept, left in read_ahead(align(own, others, files.pairs)):
                dataset.write(kept)
                dropped.write(left)
            if not dataset.rows:
                raise TableError(
                    f"{own}: no pair is in every data set. Set diagnostics.align to false, or drop pairs for fewer "
                    "flags."
                )
        terminal.report(f"{dataset.rows:,} rows are in every data set, {dropped.rows - before:,} are not")
