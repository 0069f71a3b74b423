"""Make requests to respond to the prompts of the base set, or to answer the evaluation prompts, in one language."""

from polypref.asking import ask_replies
from polypref.logs import job
from polypref.schemas import PAIRS, PROMPTS, REQUESTS, TEXTS
from polypref.script_inputs import read_asked
from polypref.tables import read_rows, write_table

if __name__ == "__main__":
    wildcards = snakemake.wildcards
    with job(f"ask in {wildcards.language}", snakemake.log[0]):
        path = snakemake.input.prompts
        origin = wildcards.get("origin")
        if origin is None:
            items = read_rows(path, PROMPTS)
        elif origin == "english":
            items = read_rows(path, PAIRS)
        else:
            items = [{"item_id": row["item_id"], "prompt": row["text"]} for row in read_rows(path, TEXTS)]
        asked = read_asked(snakemake.params.asked, snakemake.input.get("checkpoint", []))
        write_table(snakemake.output[0], ask_replies(items, asked, wildcards.language), REQUESTS)
