"""Create the judge's sanity set in one language: comparisons of opponents' answers with a known correct verdict."""

from pathlib import Path

from polypref.files.schemas import JUDGE_REQUESTS, PROMPTS, TEXTS
from polypref.files.tables import read_rows, write_table
from polypref.requests.asking import read_asked
from polypref.requests.sanity import ask_sanity
from polypref.running.logs import job

if __name__ == "__main__":
    params, files = snakemake.params, snakemake.input
    with job(f"sanity set in {snakemake.wildcards.language}", snakemake.log[0]):
        rows = ask_sanity(
            read_rows(files.prompts, PROMPTS),
            {name: read_rows(path, TEXTS) for name, path in zip(params.opponents, files.opponents, strict=True)},
            read_asked(params.asked, files.get("checkpoint", [])),
            Path(files.template).read_text(encoding="utf-8"),
            params.language_name,
            params.number,
            params.seed,
        )
        write_table(snakemake.output[0], rows, JUDGE_REQUESTS)
