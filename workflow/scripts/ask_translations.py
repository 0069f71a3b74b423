"""Write requests to translate one field of the base set or of WMT24++ into one language."""

from polypref.files.schemas import PAIRS, REQUESTS, SEGMENTS
from polypref.files.table_writer import write_table
from polypref.files.tables import BATCH, batched, iter_rows
from polypref.requests.asking import read_request_settings
from polypref.requests.translate import ask_translations
from polypref.running.logs import job

if __name__ == "__main__":
    wildcards, params = snakemake.wildcards, snakemake.params
    with job(f"ask {wildcards.model} {wildcards.language}", snakemake.log[0]):
        schema, field = PAIRS if wildcards.corpus == "pairs" else SEGMENTS, wildcards.field
        settings = read_request_settings(params.request_settings, snakemake.input.get("checkpoint", []))
        how = (field, settings, params.prompt, params.unit, wildcards.language, params.language_name)
        items = batched(iter_rows(snakemake.input.texts, schema, ["item_id", field]), BATCH)
        rows = (row for batch in items for row in ask_translations(batch, *how))
        write_table(snakemake.output[0], rows, REQUESTS)
