"""Compare a batch that runs through a real Slurm with the same batch without Slurm; both include Snakemake's start.

The Slurm cluster is that of the tests (tests/slurm/up.sh, Debian's packages): two nodes on this machine, no queue.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import yaml
from common import Cost, interleaved, options, snakemake, spread, table, temporary_folder
from runs import new_run
from slurm_cluster import Cluster, SlurmRun, rehearsed

BATCH = "answer/base"
TARGET = f"results/completions/{BATCH}.parquet"


def delete_completions(results: Path) -> None:
    """Delete the completions of the batch, and keep its requests."""
    shutil.rmtree(results / "store", ignore_errors=True)
    for file in (results / "completions").glob(f"{BATCH}.*"):
        file.unlink()


def main() -> None:
    arguments = options(__doc__, repeats=3)
    repeats = 1 if arguments.smoke else arguments.repeats
    with temporary_folder("slurm") as folder:
        cluster = Cluster(folder / "slurm")
        fresh = new_run(folder / "run")
        run = SlurmRun(cluster, fresh.folder, rehearsed(fresh.config))
        config = run.folder / "config.yaml"
        config.write_text(yaml.safe_dump(run.config, allow_unicode=True), encoding="utf-8")

        def here() -> Cost:
            delete_completions(run.results)
            return snakemake(run.folder, "--", TARGET, config=config)

        def through_slurm() -> Cost:
            delete_completions(run.results)
            before = time.perf_counter()
            run.run(TARGET)
            return Cost(time.perf_counter() - before, 0.0, 0.0)

        try:
            cluster.up()
            costs = interleaved(repeats, here=here, slurm=through_slurm)
        finally:
            cluster.down()
    difference = [slurm.wall - here.wall for slurm, here in zip(costs["slurm"], costs["here"], strict=True)]
    rows = [
        ["on this machine", *spread((cost.wall for cost in costs["here"]), ".1f")],
        ["through Slurm", *spread((cost.wall for cost in costs["slurm"]), ".1f")],
        ["difference", *spread(difference, ".1f")],
    ]
    print(
        "Wall seconds of the whole command for a batch of 108 requests, with the start of its engine. The budget is a"
    )
    print("difference of 15 s.\n")
    print(table(["the same batch", "median", "min", "max"], rows))


if __name__ == "__main__":
    main()
