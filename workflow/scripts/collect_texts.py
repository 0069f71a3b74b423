"""Make one file of translations, responses or answers from its own requests and the batch's completions."""

from polypref.collecting import collect_texts
from polypref.logs import job
from polypref.schemas import REQUESTS, TEXTS
from polypref.script_inputs import read_completions
from polypref.tables import read_rows, write_table

if __name__ == "__main__":
    with job(f"collect {snakemake.output[0]}", snakemake.log[0]) as terminal:
        requests = read_rows(snakemake.input.requests, REQUESTS)
        completions = read_completions(snakemake.input.completions, requests)
        rows = collect_texts(
            requests, completions, snakemake.input.completions, snakemake.params.get("may_be_empty", False)
        )
        write_table(snakemake.output[0], rows, TEXTS)
        errors = [row for row in rows if row["error"]]
        if errors:
            terminal.say(f"{len(errors)} of {len(rows)} have an error, the first: {errors[0]['error']}")
