"""Make requests to rate one translator's translations of a field of the base set into one language."""

from polypref.files.schemas import PAIRS, REQUESTS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import iter_rows
from polypref.requests.asking import read_request_settings
from polypref.requests.ratings import ask_ratings, read_template
from polypref.running.logs import job

if __name__ == "__main__":
    wildcards, params, files = snakemake.wildcards, snakemake.params, snakemake.input
    with job(f"ask about {wildcards.field} by {wildcards.model} in {wildcards.language}", snakemake.log[0]):
        rows = ask_ratings(
            iter_rows(files.pairs, PAIRS, ["item_id", wildcards.field]),
            iter_rows(files.translations, TEXTS, ["item_id", "text", "error"]),
            wildcards.field,
            read_request_settings(params.request_settings, files.get("checkpoint", [])),
            read_template(files.template),
            wildcards.language,
            params.language_name,
            files.translations,
        )
        write_table(snakemake.output[0], rows, REQUESTS)
