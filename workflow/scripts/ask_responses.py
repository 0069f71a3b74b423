"""Make requests to respond to the prompts of the base set, or to answer the evaluation prompts, in one language."""

from polypref.asking import ask_replies
from polypref.logs import job
from polypref.schemas import PAIRS, PROMPTS, REQUESTS, TEXTS
from polypref.script_inputs import read_asked
from polypref.tables import BATCH, batched, iter_rows, write_table

if __name__ == "__main__":
    wildcards = snakemake.wildcards
    with job(f"ask in {wildcards.language}", snakemake.log[0]):
        path = snakemake.input.prompts
        origin = wildcards.get("origin")
        if origin is None or origin == "english":
            items = iter_rows(path, PAIRS if origin else PROMPTS, ["item_id", "prompt"])
        else:
            texts = iter_rows(path, TEXTS, ["item_id", "text"])
            items = ({"item_id": row["item_id"], "prompt": row["text"]} for row in texts)
        asked = read_asked(snakemake.params.asked, snakemake.input.get("checkpoint", []))
        rows = (row for batch in batched(items, BATCH) for row in ask_replies(batch, asked, wildcards.language))
        write_table(snakemake.output[0], rows, REQUESTS)
