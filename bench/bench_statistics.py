"""Measure the time of the statistics: bootstraps of win rates in several shapes, and translation scores.

python bench/bench_statistics.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import common
import numpy as np
import pandas as pd
import synthetic
from simulated_verdicts import simulate

from polypref.evaluation.estimates import estimate_rates
from polypref.translation_quality.scores import score_translations

SHAPES = [(186, 9, 12, 5), (1850, 9, 6, 1), (12_345, 9, 1, 1), (100_000, 1, 1, 1), (800, 1, 125, 1), (150, 9, 74, 1),
          (25, 9, 89, 5)]  # fmt: skip
"""Numbers of prompts, languages, opponents and runs."""


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall seconds, and the processor seconds of this process and its finished children."""
    wall, processor = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - wall, sum(os.times()[:4]) - processor


def main() -> None:
    smoke = common.options(__doc__).smoke
    square = np.random.default_rng(1).normal(0, 1, (3000, 3000))
    unit = min(measure(lambda: square @ square)[1] for _ in range(3))
    estimate_rates(simulate(50, 2, 1)[0], 10)  # warm up: imports
    print("10,000 bootstrap resamples of 100,000 verdicts in several shapes, and BLEU and chrF++ of translations with")
    print("confidence intervals. Budgets are wall seconds on two cores without other load. The ratio divides the")
    print("processor seconds by those of one float64 matrix product of 3,000 x 3,000.\n")
    print("| computation | seconds | processor seconds | budget | ratio |\n|---|---|---|---|---|")

    def report(name: str, budget: float, wall: float, processor: float) -> None:
        print(f"| {name} | {wall:.2f} | {processor:.2f} | {budget:g} | {processor / unit:.1f} |", flush=True)

    for prompts, languages, opponents, runs in SHAPES[: 1 if smoke else None]:
        frame = simulate(prompts, languages, 1, opponents=opponents, runs=runs)[0].head(100_000)
        name = (
            f"{len(frame):,} verdicts: {prompts:,} prompts, {languages} languages, {opponents} opponents, {runs} runs"
        )
        report(name, 2, *measure(lambda frame=frame: estimate_rates(frame)))
    n = 96 if smoke else 960
    segments = {code: synthetic.segments(code, n) for code in synthetic.LANGUAGES[1:]}
    translations: dict[tuple[str, str], pd.DataFrame] = {
        (f"t{k}", code): synthetic.translations(frame, k / 10) for code, frame in segments.items() for k in range(8)
    }
    tokenizers = {code: synthetic.TOKENIZERS.get(code, "13a") for code in segments}
    wall, processor = measure(lambda: score_translations(segments, translations, tokenizers, processes=2))
    report(f"8 translators x 8 languages x {n} segments, two processes", 60, wall, processor)


if __name__ == "__main__":
    main()
