"""Make ``sources/{source}.parquet`` from a preference set, and a list of what was left out of it."""

from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.tables import write_table
from polypref.running.logs import job
from polypref.sources.formats import COLUMNS, normalise
from polypref.sources.reading import iter_data

if __name__ == "__main__":
    name, source = snakemake.wildcards.source, snakemake.params.source
    with job(f"source {name}", snakemake.log[0]) as terminal:
        path = snakemake.input[0] if len(snakemake.input) else source["path"]
        rows = iter_data(path, COLUMNS[source["format"]], source["subset"], source["split"], source["revision"])
        dropped = []
        pairs = normalise(name, source["format"], rows, path, source["bad_rows"], dropped, source.get("turns"))
        kept = write_table(snakemake.output.pairs, pairs, PAIRS)
        write_table(snakemake.output.dropped, dropped, DROPPED)
        terminal.report(f"{kept + len(dropped):,} rows read, {kept:,} pairs, {len(dropped):,} rows left out")
