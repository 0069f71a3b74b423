"""Write requests to respond to the prompts of the base set, or to answer the evaluation prompts, in one language."""

import pyarrow.parquet as pq

from polypref.files.schemas import PAIRS, PROMPTS, REQUESTS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import BATCH, batched, iter_rows
from polypref.requests.asking import read_request_settings
from polypref.requests.generate import ask_responses, system_fitter
from polypref.running.logs import job

if __name__ == "__main__":
    wildcards = snakemake.wildcards
    with job(f"ask in {wildcards.language}", snakemake.log[0]):
        path = snakemake.input.prompts
        origin = wildcards.get("origin")
        if origin is None or "prompt" in pq.read_schema(path).names:  # else the prompts are translations
            items = iter_rows(path, PAIRS if origin else PROMPTS, ["item_id", "prompt"])
        else:
            texts = iter_rows(path, TEXTS, ["item_id", "text"])
            items = ({"item_id": row["item_id"], "prompt": row["text"]} for row in texts)
        settings = read_request_settings(snakemake.params.request_settings, snakemake.input.get("checkpoint", []))
        how = (settings, wildcards.language, system_fitter(settings))
        rows = (row for batch in batched(items, BATCH) for row in ask_responses(batch, *how))
        write_table(snakemake.output[0], rows, REQUESTS)
