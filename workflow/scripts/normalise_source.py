"""Write ``sources/{source}.parquet`` from a preference set, and a list of the dropped rows."""

from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.tables import write_table
from polypref.running.logs import job
from polypref.sources.formats import COLUMNS, check_columns, normalise
from polypref.sources.reading import Data

if __name__ == "__main__":
    name, source = snakemake.wildcards.source, snakemake.params.source
    with job(f"source {name}", snakemake.log[0]) as terminal:
        kind, columns = source["format"], source.get("columns")
        check_columns(name, kind, columns)
        path = list(snakemake.input) or source["path"]
        rows = Data(path, COLUMNS[kind], source["subset"], source["split"], source["revision"], columns)
        dropped = []
        turns = source.get("turns")
        pairs = normalise(name, kind, rows, str(rows), source["bad_rows"], dropped, turns, place=rows.place)
        kept = write_table(snakemake.output.pairs, pairs, PAIRS)
        write_table(snakemake.output.dropped, dropped, DROPPED)
        terminal.report(f"{kept + len(dropped):,} rows read, {kept:,} pairs, {len(dropped):,} rows dropped")
