"""Make ``ratings/{field}/{model}/{language}.parquet`` with COMETKiwi: a row per translation, from both texts alone."""

from polypref.files.schemas import PAIRS, RATINGS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import iter_rows
from polypref.running.logs import job
from polypref.translation_quality.comet import rate_by_comet

if __name__ == "__main__":
    field, files = snakemake.wildcards.field, snakemake.input
    with job(f"rate {snakemake.output[0]}", snakemake.log[0]):
        pairs = {row["item_id"]: row[field] for row in iter_rows(files.pairs, PAIRS, ["item_id", field])}
        texts = list(iter_rows(files.translations, TEXTS, ["item_id", "language", "text", "error"]))
        write_table(snakemake.output[0], rate_by_comet(pairs, texts, snakemake.params.checkpoint), RATINGS)
