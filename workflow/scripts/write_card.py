"""Make the folder ``datasets/{architecture}/``: the data set and its card, as ``datasets.load_dataset`` reads them."""

import shutil

from polypref.datasets.cards import card
from polypref.files.schemas import DATASET, DIAGNOSTICS, DROPPED
from polypref.files.tables import atomic_write, iter_rows
from polypref.running.logs import job

if __name__ == "__main__":
    name, params = snakemake.wildcards.architecture, snakemake.params
    with job(f"card {name}", snakemake.log[0]):
        rows = iter_rows(snakemake.input.dataset, DATASET, ["language", "source", "prompt_messages"])
        dropped = iter_rows(snakemake.input.dropped, DROPPED, ["language", "reason"])
        found = iter_rows(snakemake.input.diagnostics, DIAGNOSTICS, ["language", "token_gap", "flags"])
        made = (params.architecture, params.languages, params.licenses)
        text = card(name, params.title, *made, rows, dropped, found)
        with atomic_write(snakemake.output.card, "w") as file:
            file.write(text)
        with open(snakemake.input.dataset, "rb") as source, atomic_write(snakemake.output.data) as file:
            shutil.copyfileobj(source, file)
