"""Compare the rows per second of `complete` with a direct LLM.chat call on the same messages.

    python bench/bench_complete.py

Both run alternately in one process with the same engine, and the prefix cache is emptied before each repeat. `complete`
also reads the request files, writes the row store (journal, fsync, sealing) and builds the rows of completions; the
direct call gets messages and vLLM's sampling parameters that are already built. The start of the engine is not
included.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from common import Cost, interleaved, options, ratios, spread, stdout_to_stderr, table, temporary_folder, timed
from synthetic_requests import answer_batch, checkpoint, requests_of, write_replies, write_translations

os.environ.setdefault("OMP_NUM_THREADS", "1")
REQUESTS = 2_000


def compare(folder: Path, paths: list[Path], engine, repeats: int) -> dict[str, list[Cost]]:
    """Measure `complete` and the direct call on some request files."""
    requests = requests_of(paths)
    params = [engine._start(request).parameters() for request in requests]
    stores = itertools.count()

    def run_complete() -> None:
        answer_batch(paths, folder / f"store{next(stores)}", checkpoint("strong"), engine)

    def call_directly() -> None:
        engine.llm.chat([request.messages for request in requests], params, use_tqdm=False)

    def without_cache(action) -> Cost:
        engine.llm.reset_prefix_cache()
        return timed(action)

    return interleaved(
        repeats, complete=lambda: without_cache(run_complete), direct=lambda: without_cache(call_directly)
    )


def measure(count: int, repeats: int) -> tuple[float, list[list[str]]]:
    """Return the seconds of the engine's start, and the rows of the table."""
    from polypref.requests.engines.vllm import open_engine

    registry = checkpoint("strong")
    began = time.perf_counter()
    engine = open_engine(registry, registry.path, None)
    start = time.perf_counter() - began
    rows = []
    for name, write in (("translation, greedy", lambda f: write_translations(f, count // 8)),
                        ("generation, sampled", lambda f: write_replies(f, count))):  # fmt: skip
        with temporary_folder("complete") as folder:
            costs = compare(folder, write(folder), engine, repeats)
        for clock in ("wall", "processor"):
            ratio = [1 / value for value in ratios(costs, "complete", "direct", clock)]
            rate = [f"{count / min(getattr(c, clock) for c in costs[who]):,.0f}" for who in ("complete", "direct")]
            rows.append([f"{name}, {clock}", f"{count:,}", *rate, *spread(ratio, ".3f")])
    engine.close()
    return start, rows


def main() -> None:
    arguments = options(__doc__, repeats=9)
    with stdout_to_stderr():
        start, rows = measure(*(40, 1) if arguments.smoke else (REQUESTS, arguments.repeats))
    print(
        "Rows per second of the fastest repeat, and the ratio of rates in each repeat; the budget is 0.95. The direct"
    )
    print("call uses the same seeds and maximum lengths. Importing vLLM and starting the engine are not included; they")
    print(f"took {start:.0f} s.\n")
    print(table(["batch and clock", "requests", "complete/s", "LLM.chat/s", "ratio: median", "min", "max"], rows))


if __name__ == "__main__":
    main()
