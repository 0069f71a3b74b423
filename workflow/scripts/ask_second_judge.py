"""Write the second judge's requests, which show the same answers in the same order as the first judge's."""

from polypref.files.schemas import JUDGE_REQUESTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows
from polypref.requests.asking import read_request_settings
from polypref.requests.judge import ask_second_judge
from polypref.running.logs import job

if __name__ == "__main__":
    wildcards, params = snakemake.wildcards, snakemake.params
    with job(f"ask the second judge about {wildcards.policy} in {wildcards.language}", snakemake.log[0]):
        requests = read_rows(snakemake.input.requests, JUDGE_REQUESTS)
        settings = read_request_settings(params.request_settings, snakemake.input.get("checkpoint", []))
        write_table(
            snakemake.output[0], ask_second_judge(requests, settings, params.share, params.seed), JUDGE_REQUESTS
        )
