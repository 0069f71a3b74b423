"""Judging a table of pairs: both orders once in one batch, against a call per verdict in five random-order runs.

    python bench/bench_judging.py

The published code asks `generate` for one verdict at a time, five times per pair with the order drawn each time, and
20 new tokens. Judged greedily, a pair has two prompts, one per order, so the workflow asks two and looks the runs up.
Both sides run on one engine in one process. The calls one by one are a sample, scaled to the table.
"""

from __future__ import annotations

import itertools
import os
import random

from common import Cost, interleaved, options, spread, stdout_to_stderr, table, timed, workplace
from requests_made import LABELS, answer_batch, asked, checkpoint, sentences, verdict_rows, write_verdicts

os.environ.setdefault("OMP_NUM_THREADS", "1")
PAIRS, RUNS, SAMPLE = 600, 5, 60


def measured(pairs: int, sample: int, repeats: int) -> dict[str, list[Cost]]:
    """Costs of the batch and of a sample of calls, in turns."""
    from vllm import SamplingParams

    from polypref.requests.engines.vllm import open_engine

    registry = checkpoint("judge")
    engine = open_engine(registry, registry.path, None)

    rows = verdict_rows(sentences(3 * pairs), asked("judge", **LABELS), "judge-demo.txt")
    chats = [row["messages"] for row in rows]
    free = SamplingParams(max_tokens=20, temperature=0.0)
    draw, stores = random.Random(1), itertools.count()

    def one_by_one() -> None:
        for pair in draw.sample(range(pairs), sample):
            engine.llm.chat([chats[2 * pair + draw.randint(0, 1)]], free, use_tqdm=False)

    with workplace("judging") as folder:
        paths = write_verdicts(folder, rows)

        def ours() -> None:
            answer_batch(paths, folder / f"store{next(stores)}", registry, engine)

        def fresh(action) -> Cost:
            engine.llm.reset_prefix_cache()
            return timed(action)

        costs = interleaved(repeats, batch=lambda: fresh(ours), calls=lambda: fresh(one_by_one))
    engine.close()
    return costs


def table_rows(costs: dict[str, list[Cost]], pairs: int, sample: int) -> list[list[str]]:
    """By clock: seconds of the batch and of all calls one by one, and how many times less per table and per call."""
    rows = []
    for clock in ("wall", "processor"):
        batch = [getattr(cost, clock) for cost in costs["batch"]]
        scaled = [getattr(cost, clock) * RUNS * pairs / sample for cost in costs["calls"]]
        per_table = [s / b for b, s in zip(batch, scaled, strict=True)]
        per_call = [ratio * 2 / RUNS for ratio in per_table]  # two calls in the batch do for RUNS runs
        rows.append(
            [clock, f"{min(batch):.1f}", f"{min(scaled):.1f}", *spread(per_table, ".1f"), *spread(per_call, ".1f")]
        )
    return rows


def main() -> None:
    arguments = options(__doc__)
    pairs, sample = (20, 5) if arguments.smoke else (PAIRS, SAMPLE)
    with stdout_to_stderr():
        costs = measured(pairs, sample, 1 if arguments.smoke else arguments.repeats)
    print(
        f"{pairs:,} pairs, five runs each: {2 * pairs:,} calls in one batch, constrained to a label, with row store and"
    )
    print(
        f"files, against {RUNS * pairs:,} calls one by one, 20 free tokens each (measured on {sample}, scaled). Seconds"
    )
    print("are the best turn's. Budget: 15 times per table. Engine start is in neither.\n")
    header = ["clock", "batch s", "one by one s", "per table: median", "min", "max", "per call: median", "min", "max"]
    print(table(header, table_rows(costs, pairs, sample)))


if __name__ == "__main__":
    main()
