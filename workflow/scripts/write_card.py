"""Write the folder ``datasets/{architecture}/``: the data set and its card, which ``datasets.load_dataset`` reads."""

import json
from pathlib import Path

from polypref.config.licenses import compose
from polypref.datasets.cards import card
from polypref.datasets.croissant import croissant
from polypref.datasets.exports import write_exports
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
        share = params.get("test_share", 0.0)
        text = card(name, params.title, *made, rows, dropped, found, share)
        with atomic_write(snakemake.output.card, "w") as file:
            file.write(text)
        folder = Path(snakemake.output.card).parent
        write_exports(snakemake.input.dataset, folder, share)
        license = compose(params.licenses).license
        described = croissant(folder, name, params.title, license, sorted(params.languages), share)
        with atomic_write(snakemake.output.croissant, "w") as file:
            file.write(json.dumps(described, indent=2, ensure_ascii=False) + "\n")
