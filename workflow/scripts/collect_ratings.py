"""Make ``ratings/{field}/{model}/{language}.parquet``: a row per translation, from requests and replies."""

from collections import Counter

from polypref.files.schemas import RATINGS, REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.collect import read_answered
from polypref.requests.ratings import collect_ratings
from polypref.running.logs import job

if __name__ == "__main__":
    with job(f"collect {snakemake.output[0]}", snakemake.log[0]) as terminal:
        completions, status = snakemake.input.completions, Counter()

        def ratings():
            for batch in read_answered(snakemake.input.requests, REQUESTS, completions):
                rows = collect_ratings(*batch, completions, snakemake.params.parser)
                status.update(row["status"] for row in rows)
                yield from rows

        write_table(snakemake.output[0], ratings(), RATINGS)
        if status["unparsed"] or status["error"]:
            terminal.report(
                f"{status['unparsed']} of {status.total()} replies have no rating, {status['error']} are missing"
            )
