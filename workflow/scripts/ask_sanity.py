"""Write the requests of the judge's sanity set: comparisons of opponents' answers with a known correct verdict.

The paths of answer files are ``.../{opponent}/{language}.parquet``.
"""

from pathlib import Path

from polypref.files.schemas import JUDGE_REQUESTS, PROMPTS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows
from polypref.requests.asking import read_request_settings
from polypref.requests.sanity import ask_sanity
from polypref.running.logs import job

if __name__ == "__main__":
    params, files = snakemake.params, snakemake.input
    with job("sanity set", snakemake.log[0]):
        settings = read_request_settings(params.request_settings, files.get("checkpoint", []))
        template = Path(files.template).read_text(encoding="utf-8")
        rows = []
        for path in map(Path, files.prompts):
            answers = {
                Path(answer).parent.name: read_rows(answer, TEXTS)
                for answer in files.opponents
                if Path(answer).stem == path.stem
            }
            name = params.languages[path.stem]
            rows += ask_sanity(read_rows(path, PROMPTS), answers, settings, template, name, params.number, params.seed)
        write_table(snakemake.output[0], rows, JUDGE_REQUESTS)
