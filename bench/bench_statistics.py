"""Time of the statistics against their budgets, as a Markdown table.

10,000 bootstrap draws over 100,000 verdict rows: 2 s on two cores, in several shapes. 8 translators x 8 languages x
960 segments with BLEU and chrF++: 60 s on two cores. On a machine with other work, processor seconds are the ones to
compare (two cores have two in a second). The ratio is to one float64 matrix product of 3,000 x 3,000.

    python bench/bench_statistics.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import synthetic  # noqa: E402
from test_estimates import simulate  # noqa: E402

from polypref.estimates import estimate_rates  # noqa: E402
from polypref.translation_scores import score_translations  # noqa: E402

SHAPES = [(186, 9, 12, 5), (1850, 9, 6, 1), (12_345, 9, 1, 1), (100_000, 1, 1, 1), (800, 1, 125, 1), (150, 9, 74, 1),
          (25, 9, 89, 5)]  # fmt: skip
"""Prompts, languages, opponents, runs."""


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of this process's processors."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one shape, and a tenth of the segments")
    quick = parser.parse_args().quick
    square = np.random.default_rng(1).normal(0, 1, (3000, 3000))
    unit = min(timed(lambda: square @ square)[1] for _ in range(3))
    estimate_rates(simulate(50, 2, 1)[0], 10)  # imports
    print("| what | seconds | processor seconds | budget | ratio |\n|---|---|---|---|---|")

    def report(what: str, budget: float, wall: float, processor: float) -> None:
        print(f"| {what} | {wall:.2f} | {processor:.2f} | {budget:g} | {processor / unit:.1f} |", flush=True)

    for prompts, languages, opponents, runs in SHAPES[: 1 if quick else None]:
        frame = simulate(prompts, languages, 1, opponents=opponents, runs=runs)[0].head(100_000)
        name = (
            f"{len(frame):,} verdicts: {prompts:,} prompts, {languages} languages, {opponents} opponents, {runs} runs"
        )
        report(name, 2, *timed(lambda frame=frame: estimate_rates(frame)))
    n = 96 if quick else 960
    segments = {code: synthetic.segments(code, n) for code in synthetic.LANGUAGES[1:]}
    translations: dict[tuple[str, str], pd.DataFrame] = {
        (f"t{k}", code): synthetic.translations(frame, k / 10) for code, frame in segments.items() for k in range(8)
    }
    tokenizers = {code: synthetic.TOKENIZERS.get(code, "13a") for code in segments}
    wall, processor = timed(lambda: score_translations(segments, translations, tokenizers, processes=2))
    report(f"8 translators x 8 languages x {n} segments, two processes", 60, wall, processor)


if __name__ == "__main__":
    main()
