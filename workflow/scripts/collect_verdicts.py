"""Write ``verdicts/{policy}/{language}.parquet``: one row per judgement, from requests and the judge's replies."""

from polypref.files.schemas import JUDGE_REQUESTS, VERDICTS
from polypref.files.table_writer import write_table
from polypref.requests.collect import read_answered
from polypref.requests.judge import collect_verdicts
from polypref.running.logs import job

if __name__ == "__main__":
    with job(f"collect {snakemake.output[0]}", snakemake.log[0]):
        completions = snakemake.input.completions
        answered = read_answered(snakemake.input.requests, JUDGE_REQUESTS, completions)
        verdicts = (row for batch in answered for row in collect_verdicts(*batch, completions, snakemake.params.parser))
        write_table(snakemake.output[0], verdicts, VERDICTS)
