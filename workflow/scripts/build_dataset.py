"""Make ``datasets/{architecture}.parquet``: a preference pair per English pair and language."""

from polypref.building import build_dataset
from polypref.logs import job
from polypref.schemas import DATASET, DIAGNOSTICS, DROPPED, PAIRS
from polypref.script_inputs import read_fields
from polypref.tables import TableError, read_rows, write_table

if __name__ == "__main__":
    name = snakemake.wildcards.architecture
    with job(f"data set {name}", snakemake.log[0]) as terminal:
        texts = read_fields(snakemake.params.fields)
        diagnostics = [row for path in snakemake.input.diagnostics for row in read_rows(path, DIAGNOSTICS)]
        flags = {(row["item_id"], row["language"]): row["flags"] for row in diagnostics}
        drop = snakemake.params.drop
        rows, dropped = build_dataset(read_rows(snakemake.input.pairs, PAIRS), texts, drop, flags)
        if not rows:
            raise TableError(
                f"{snakemake.output.dataset}: no row is left; the first was dropped for {dropped[0]['reason']!r}"
            )
        write_table(snakemake.output.dataset, rows, DATASET)
        write_table(snakemake.output.dropped, dropped, DROPPED)
        terminal.say(f"{len(rows):,} rows in {len(texts)} languages, {len(dropped):,} left out")
