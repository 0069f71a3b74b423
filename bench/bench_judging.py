"""Compare judging both orders of each pair in one batch with five runs of one call per pair in random order.

    python bench/bench_judging.py

The published code calls `generate` for one verdict at a time, five times per pair in a random order, with up to 20 new
tokens. With greedy decoding a pair has only two different prompts, one per order, so the workflow sends these two and
derives the five runs from them. Both sides run on one engine in one process. The single calls are measured for a sample
of pairs and scaled to the whole table.
"""

from __future__ import annotations

import itertools
import os
import random

from common import Cost, interleaved, options, spread, stdout_to_stderr, table, temporary_folder, timed
from synthetic_requests import LABELS, answer_batch, checkpoint, request_model, sentences, verdict_rows, write_verdicts

os.environ.setdefault("OMP_NUM_THREADS", "1")
PAIRS, RUNS, SAMPLE = 600, 5, 60


def measure(pairs: int, sample: int, repeats: int) -> dict[str, list[Cost]]:
    """Measure the batch and a sample of single calls alternately."""
    from vllm import SamplingParams

    from polypref.requests.engines.vllm import open_engine

    registry = checkpoint("judge")
    engine = open_engine(registry, registry.path, None)

    rows = verdict_rows(sentences(3 * pairs), request_model("judge", **LABELS), "judge-demo.txt")
    chats = [row["messages"] for row in rows]
    free = SamplingParams(max_tokens=20, temperature=0.0)
    rng, stores = random.Random(1), itertools.count()

    def single_calls() -> None:
        for pair in rng.sample(range(pairs), sample):
            engine.llm.chat([chats[2 * pair + rng.randint(0, 1)]], free, use_tqdm=False)

    with temporary_folder("judging") as folder:
        paths = write_verdicts(folder, rows)

        def run_batch() -> None:
            answer_batch(paths, folder / f"store{next(stores)}", registry, engine)

        def without_cache(action) -> Cost:
            engine.llm.reset_prefix_cache()
            return timed(action)

        costs = interleaved(repeats, batch=lambda: without_cache(run_batch), calls=lambda: without_cache(single_calls))
    engine.close()
    return costs


def table_rows(costs: dict[str, list[Cost]], pairs: int, sample: int) -> list[list[str]]:
    """Return a row per clock: seconds of the batch and of the single calls, and their ratios per table and per call."""
    rows = []
    for clock in ("wall", "processor"):
        batch = [getattr(cost, clock) for cost in costs["batch"]]
        scaled = [getattr(cost, clock) * RUNS * pairs / sample for cost in costs["calls"]]
        per_table = [s / b for b, s in zip(batch, scaled, strict=True)]
        per_call = [ratio * 2 / RUNS for ratio in per_table]  # two calls of the batch replace RUNS single calls
        rows.append(
            [clock, f"{min(batch):.1f}", f"{min(scaled):.1f}", *spread(per_table, ".1f"), *spread(per_call, ".1f")]
        )
    return rows


def main() -> None:
    arguments = options(__doc__)
    pairs, sample = (20, 5) if arguments.smoke else (PAIRS, SAMPLE)
    with stdout_to_stderr():
        costs = measure(pairs, sample, 1 if arguments.smoke else arguments.repeats)
    print(
        f"{pairs:,} pairs, five runs each: {2 * pairs:,} calls in one batch, constrained to a label, with row store and"
    )
    print(f"files, compared with {RUNS * pairs:,} single calls of up to 20 unconstrained tokens (measured for {sample}")
    print(
        "calls and scaled). Seconds are those of the fastest repeat. The budget is a ratio of 15 per table. The start"
    )
    print("of the engine is not included.\n")
    header = [
        "clock",
        "batch s",
        "single calls s",
        "ratio per table: median",
        "min",
        "max",
        "ratio per call: median",
        "min",
        "max",
    ]
    print(table(header, table_rows(costs, pairs, sample)))


if __name__ == "__main__":
    main()
