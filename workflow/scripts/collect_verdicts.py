"""Make ``verdicts/{policy}/{language}.parquet``: one row per judgement, from requests and the judge's replies."""

from polypref.collecting import collect_verdicts
from polypref.logs import job
from polypref.schemas import JUDGE_REQUESTS, VERDICTS
from polypref.script_inputs import read_completions
from polypref.tables import read_rows, write_table

if __name__ == "__main__":
    with job(f"collect {snakemake.output[0]}", snakemake.log[0]):
        requests = read_rows(snakemake.input.requests, JUDGE_REQUESTS)
        completions = read_completions(snakemake.input.completions, requests)
        rows = collect_verdicts(requests, completions, snakemake.input.completions)
        write_table(snakemake.output[0], rows, VERDICTS)
