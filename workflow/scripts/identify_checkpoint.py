"""Write ``checkpoints/{checkpoint}.json``: path and content digest of a local checkpoint."""

import json

from polypref.files.tables import atomic_write
from polypref.requests.checkpoints import content_revision
from polypref.running.logs import job

if __name__ == "__main__":
    with job(f"checkpoint {snakemake.wildcards.checkpoint}", snakemake.log[0]):
        path = snakemake.params.path
        with atomic_write(snakemake.output[0], "w") as file:
            json.dump({"path": path, "revision": content_revision(path)}, file, indent=1)
