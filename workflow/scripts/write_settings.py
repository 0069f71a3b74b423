"""Write ``settings/{what}.json``: the settings that determine the output of a rule downstream of a batch."""

import json

from polypref.files.tables import atomic_write
from polypref.running.logs import job

if __name__ == "__main__":
    with job(f"settings {snakemake.wildcards.what}", snakemake.log[0]), atomic_write(snakemake.output[0], "w") as file:
        json.dump(snakemake.params.settings, file, indent=1, ensure_ascii=False)
