"""Write ``datasets/{architecture}.parquet``: a preference pair for each English pair and language."""

from polypref.datasets.building import build_dataset
from polypref.datasets.texts import Flags, native_files, read_texts
from polypref.files.copies import local_copies
from polypref.files.schemas import DATASET, DROPPED
from polypref.files.table_writer import open_table
from polypref.files.tables import TableError, read_ahead
from polypref.running.logs import job

if __name__ == "__main__":
    name, made, params = snakemake.wildcards.architecture, snakemake.output, snakemake.params
    given = snakemake.input
    with job(f"data set {name}", snakemake.log[0]) as terminal:
        flags = Flags(list(given.diagnostics))
        native = local_copies(native_files(given.get("settings")), given)
        fields = local_copies(params.fields, given)
        with open_table(made.dataset, DATASET) as dataset, open_table(made.dropped, DROPPED) as dropped:
            first = None
            for language, pairs, texts in read_ahead(read_texts(given.pairs, fields, native)):
                marked = flags.of(language, pairs)
                kept, left = build_dataset(pairs, texts, language, params.drop, marked, language in native)
                dataset.write(kept)
                dropped.write(left)
                first = first or next(iter(left["reason"].to_pylist()), None)
            if not dataset.rows:
                raise TableError(f"{made.dataset}: all rows were dropped; the reason for the first is {first!r}")
        terminal.report(f"{dataset.rows:,} rows in {len(params.fields)} languages, {dropped.rows:,} dropped")
