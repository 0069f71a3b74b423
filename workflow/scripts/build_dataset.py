"""Make ``datasets/{architecture}.parquet``: a preference pair per English pair and language."""

from polypref.datasets.building import build_dataset
from polypref.datasets.texts import native_files, read_texts
from polypref.files.schemas import DATASET, DIAGNOSTICS, DROPPED
from polypref.files.tables import TableError, iter_rows, write_table
from polypref.running.logs import job

if __name__ == "__main__":
    name = snakemake.wildcards.architecture
    with job(f"data set {name}", snakemake.log[0]) as terminal:
        flags = {
            (row["item_id"], row["language"]): row["flags"]
            for path in snakemake.input.diagnostics
            for row in iter_rows(path, DIAGNOSTICS, ["item_id", "language", "flags"])
            if row["flags"]
        }
        native = native_files(snakemake.input.get("settings"))
        dropped = []

        def pairs():
            for batch, texts in read_texts(snakemake.input.pairs, snakemake.params.fields, native):
                rows, left = build_dataset(batch, texts, snakemake.params.drop, flags, native)
                dropped.extend(left)
                yield from rows

        kept = write_table(snakemake.output.dataset, pairs(), DATASET)
        if not kept:
            why = dropped[0]["reason"]
            raise TableError(f"{snakemake.output.dataset}: no row is left; the first was dropped for {why!r}")
        write_table(snakemake.output.dropped, dropped, DROPPED)
        terminal.report(f"{kept:,} rows in {len(snakemake.params.fields)} languages, {len(dropped):,} left out")
