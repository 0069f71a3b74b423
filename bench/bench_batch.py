"""Compare one engine start for a batch of 8 languages x 3 fields with one engine start for each of its 24 files.

    python bench/bench_batch.py                measure 4 of the 24 single-file jobs and scale the result
    python bench/bench_batch.py --sample 24    measure all of them

A workflow with a simple rule per language and field would start the engine in each job. Every job is measured as a
separate process, as Snakemake would start it.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from common import Cost, interleaved, options, ratios, run_process, spread, table, temporary_folder
from synthetic_requests import checkpoint, write_translations

REQUESTS = 50
"""Requests per file."""


def job(store: str, paths: list[str]) -> None:
    """Complete the requests of some files, as a job does."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from polypref.requests.complete import complete

    run = complete(paths, Path(store), checkpoint("strong"), Path(store) / "completions.parquet")
    if run["engine_starts"] != 1:
        raise RuntimeError(f"{run['engine_starts']} engine starts")


def scaled(costs: list[Cost], jobs: int) -> Cost:
    """Scale the total cost of some jobs to a larger number of jobs; memory is the maximum of one job."""
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
    with temporary_folder("batch") as folder:
        paths = list(map(str, write_translations(folder, REQUESTS, fields=3)))
        numbers = itertools.count()

        def run(files: list[str]) -> Cost:
            return run_process([sys.executable, __file__, "--job", str(folder / f"store{next(numbers)}"), *files])

        def single_files() -> Cost:
            return scaled([run([path]) for path in paths[:: len(paths) // sample][:sample]], len(paths))

        costs = interleaved(repeats, warm_up=False, batch=lambda: run(paths), files=single_files)
    rows = [
        [clock, *(f"{min(getattr(c, clock) for c in costs[who]):.0f}" for who in ("batch", "files")),
         *spread(ratios(costs, "files", "batch", clock), ".1f")]
        for clock in ("wall", "processor")
    ]  # fmt: skip
    print(f"{len(paths)} files of {REQUESTS} requests. A batch starts the engine once; one job per file starts it")
    print(f"{len(paths)} times (measured for {sample} jobs and scaled). Seconds are those of the fastest repeat.\n")
    print(table(["clock", "batch s", "one job per file s", "ratio: median", "min", "max"], rows))


if __name__ == "__main__":
    main()
