"""One engine start for a batch of 8 languages x 3 fields, against one for each of its 24 files.

    python bench/bench_batch.py          the jobs of single files are a sample of four, scaled
    python bench/bench_batch.py --sample 24

A plain rule per language and field starts the engine in each job. Both sides are processes as Snakemake starts them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from common import Cost, interleaved, options, ratios, run_process, spread, table, workplace
from requests_made import checkpoint, write_translations

REQUESTS = 50
"""Requests per file."""


def job(store: str, paths: list[str]) -> None:
    """Answer some files of requests, as a job does."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from polypref.files.schemas import COMPLETIONS
    from polypref.files.tables import write_table
    from polypref.requests.complete import complete

    answers, run = complete(paths, Path(store), checkpoint("strong"))
    write_table(Path(store) / "completions.parquet", answers, COMPLETIONS)
    if run["engine_starts"] != 1:
        raise RuntimeError(f"{run['engine_starts']} engine starts")


def scaled(costs: list[Cost], jobs: int) -> Cost:
    """What as many jobs cost as some of them did; memory is of one."""
    scale = jobs / len(costs)
    memory = max(cost.memory for cost in costs)
    return Cost(sum(c.wall for c in costs) * scale, sum(c.processor for c in costs) * scale, memory)


def main() -> None:
    if sys.argv[1:2] == ["--job"]:
        job(sys.argv[2], sys.argv[3:])
        return
    arguments = options(__doc__, sample=4)
    repeats = 1 if arguments.smoke else min(arguments.repeats, 3)
    sample = 1 if arguments.smoke else arguments.sample
    with workplace("batch") as folder:
        paths = list(map(str, write_translations(folder, REQUESTS, fields=3)))
        turns = iter(range(1_000_000))

        def run(files: list[str]) -> Cost:
            return run_process([sys.executable, __file__, "--job", str(folder / f"store{next(turns)}"), *files])

        def files_alone() -> Cost:
            return scaled([run([path]) for path in paths[:: len(paths) // sample][:sample]], len(paths))

        costs = interleaved(repeats, warm_up=False, batch=lambda: run(paths), files=files_alone)
    rows = [
        [clock, *(f"{min(getattr(c, clock) for c in costs[who]):.0f}" for who in ("batch", "files")),
         *spread(ratios(costs, "files", "batch", clock), ".1f")]
        for clock in ("wall", "processor")
    ]  # fmt: skip
    print(
        f"{len(paths)} files of {REQUESTS} requests. A batch starts the engine once; a job per file {len(paths)} times"
    )
    print(f"(measured on {sample} of them, scaled). Seconds are the best turn's.\n")
    print(table(["clock", "batch s", "job per file s", "times: median", "min", "max"], rows))


if __name__ == "__main__":
    main()
