"""Write requests to compare a policy with every opponent in one language, in both orders."""

from pathlib import Path

from polypref.files.schemas import JUDGE_REQUESTS, PROMPTS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows
from polypref.requests.asking import read_request_settings
from polypref.requests.judge import ask_verdicts
from polypref.running.logs import job

if __name__ == "__main__":
    policy, params = snakemake.wildcards.policy, snakemake.params
    with job(f"ask the judge about {policy} in {snakemake.wildcards.language}", snakemake.log[0]) as terminal:
        opponents = {
            name: read_rows(path, TEXTS) for name, path in zip(params.opponents, snakemake.input.opponents, strict=True)
        }
        rows = ask_verdicts(
            read_rows(snakemake.input.prompts, PROMPTS),
            (policy, read_rows(snakemake.input.policy, TEXTS)),
            opponents,
            read_request_settings(params.request_settings, snakemake.input.get("checkpoint", [])),
            Path(snakemake.input.template).read_text(encoding="utf-8"),
            params.language_name,
            terminal.report,
            params.sampled,
        )
        write_table(snakemake.output[0], rows, JUDGE_REQUESTS)
