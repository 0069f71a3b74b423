"""Write ``sources/{source}.parquet`` from a preference set, and a list of the dropped rows."""

from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.table_writer import open_table, write_table
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
        turns, made = source.get("turns"), snakemake.output
        with open_table(made.dropped, DROPPED) as dropped:
            how = (source["bad_rows"], dropped.append, turns, rows.place)
            kept = write_table(made.pairs, normalise(name, kind, rows, str(rows), *how), PAIRS)
        left = dropped.rows
        terminal.report(f"{kept + left:,} rows read, {kept:,} pairs, {left:,} rows dropped")
