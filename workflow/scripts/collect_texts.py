"""Write one file of translations, responses or answers from its own requests and the batch's completions."""

from polypref.files.schemas import REQUESTS, TEXTS
from polypref.files.table_writer import write_table
from polypref.requests.collect import collect_texts, read_answered
from polypref.running.logs import job

if __name__ == "__main__":
    with job(f"collect {snakemake.output[0]}", snakemake.log[0]) as terminal:
        errors = []

        def texts():
            may_be_empty = snakemake.params.get("may_be_empty", False)
            answered = read_answered(snakemake.input.requests, REQUESTS, snakemake.input.completions)
            for requests, completions in answered:
                rows = collect_texts(requests, completions, snakemake.input.completions, may_be_empty)
                errors.extend(row["error"] for row in rows if row["error"])
                yield from rows

        write_table(snakemake.output[0], texts(), TEXTS)
        if errors:
            terminal.report(f"{len(errors)} have an error; the first error: {errors[0]}")
