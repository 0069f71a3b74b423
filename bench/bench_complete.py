"""Rows per second of a batch through `complete`, against one bare LLM.chat call on the same messages.

    python bench/bench_complete.py

Both run in one process on one started engine, in turns, with the prefix cache emptied before each. `complete` reads the
requests' file, keeps the row store (journal, fsync, sealing) and makes the completions' rows; the bare call is given
the messages and vLLM's sampling parameters ready-made. Engine start is shown apart.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from common import Cost, interleaved, options, ratios, spread, stdout_to_stderr, table, timed, workplace
from requests_made import answer_batch, checkpoint, write_replies, write_translations

os.environ.setdefault("OMP_NUM_THREADS", "1")
REQUESTS = 2_000


def compare(folder: Path, paths: list[Path], engine, repeats: int) -> dict[str, list[Cost]]:
    """Costs of `complete` and of the bare call on some files of requests."""
    from polypref.requests.complete import read_requests, to_request

    rows, _ = read_requests(map(str, paths))
    asked = [to_request(row) for row in rows]
    params = [engine._start(request).parameters() for request in asked]
    stores = itertools.count()

    def ours() -> None:
        answer_batch(paths, folder / f"store{next(stores)}", checkpoint("strong"), engine)

    def bare() -> None:
        engine.llm.chat([request.messages for request in asked], params, use_tqdm=False)

    def fresh(action) -> Cost:
        engine.llm.reset_prefix_cache()
        return timed(action)

    return interleaved(repeats, complete=lambda: fresh(ours), bare=lambda: fresh(bare))


def measured(count: int, repeats: int) -> tuple[float, list[list[str]]]:
    """Seconds until the engine stood, and the rows of the table."""
    from polypref.requests.engines.vllm import open_engine

    registry = checkpoint("strong")
    began = time.perf_counter()
    engine = open_engine(registry, registry.path, None)
    start = time.perf_counter() - began
    rows = []
    for name, write in (("translation, greedy", lambda f: write_translations(f, count // 8)),
                        ("generation, sampled", lambda f: write_replies(f, count))):  # fmt: skip
        with workplace("complete") as folder:
            costs = compare(folder, write(folder), engine, repeats)
        for clock in ("wall", "processor"):
            ratio = [1 / value for value in ratios(costs, "complete", "bare", clock)]
            rate = [f"{count / min(getattr(c, clock) for c in costs[who]):,.0f}" for who in ("complete", "bare")]
            rows.append([f"{name}, {clock}", f"{count:,}", *rate, *spread(ratio, ".3f")])
    engine.close()
    return start, rows


def main() -> None:
    arguments = options(__doc__, repeats=9)
    with stdout_to_stderr():
        start, rows = measured(*(40, 1) if arguments.smoke else (REQUESTS, arguments.repeats))
    print(
        "Rows per second (best turn) and the ratio of rates turn by turn; budget 0.95. The bare call is given the same"
    )
    print(f"seeds and lengths. Not counted: importing vLLM and starting the engine, {start:.0f} s.\n")
    print(table(["batch and clock", "requests", "complete/s", "bare/s", "ratio: median", "min", "max"], rows))


if __name__ == "__main__":
    main()
