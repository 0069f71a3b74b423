"""Coverage of the 95% intervals of the improvement with one, three and five training seeds, as a Markdown table.

Each row summarises simulated studies whose truth is known. A seed's improvement differs from the architecture's by a
normal deviation of the given size (in points of W - L). The base and the policies of all seeds are judged on the same
prompts; the win probability of a policy on a prompt has a beta distribution with an intraclass correlation of 0.3, and
a part of it is the same for all policies. The intervals are those of ``evaluation.improvement``.

With several seeds, the true value is the improvement of the architecture. With one seed, the interval is about the
trained model, whose improvement includes the deviation of its seed; the last column counts how often it also covers the
improvement of the architecture, which it does not claim.

    python bench/bench_seeds.py [--smoke]
"""

from __future__ import annotations

import argparse

import common  # noqa: F401 - adds the package to the path
import numpy as np
import pandas as pd
from scipy import stats

from polypref.evaluation.improvement import paired_differences, tabulate_improvement

STUDIES = 1000
RESAMPLES = 1999
BLOCK = 25
"""Studies that are computed together; the time for a study grows with it."""
RATE, BASE = 0.6, 0.5
"""Win rates of the architecture and of the base; the other judgements are lost or tied with equal probability."""
CORRELATION = 0.3
SHARED = 0.7
"""Correlation between policies of the normal scores that determine their win probabilities on a prompt."""
JUDGEMENTS = 4
PROMPTS, SEEDS, DEVIATIONS = (40, 186), (1, 3, 5), (2.0, 6.0, 18.0)


def verdicts(rates: np.ndarray, scores: np.ndarray, policy: str, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate the judgements of one policy in some studies, each as an opponent.

    Parameters
    ----------
    rates : win rate of the policy in each study.
    scores : normal scores (studies, prompts) that all policies of a study share.
    """
    own = np.sqrt(SHARED) * scores + np.sqrt(1 - SHARED) * rng.standard_normal(scores.shape)
    scale, rates = (1 - CORRELATION) / CORRELATION, rates[:, None]
    won = stats.beta.ppf(stats.norm.cdf(own), rates * scale, (1 - rates) * scale)
    uniform = rng.random((*scores.shape, JUDGEMENTS))
    chosen = np.where(uniform < won[..., None], 0, np.where(uniform < (1 + won[..., None]) / 2, 1, 2))
    index = np.indices(chosen.shape).reshape(3, -1)
    return pd.DataFrame({"opponent": index[0].astype(str), "prompt_id": index[1], "policy": policy, "language": "und",
                         "run": 0, "item_id": index[1].astype(str), "status": "parsed",
                         "verdict": np.array(["policy", "opponent", "tie"])[chosen.ravel()]})  # fmt: skip


def covered(prompts: int, seeds: int, deviation: float, studies: int, block: int) -> tuple[int, int, float]:
    """Count the studies whose interval contains the true value, and the architecture's, and sum the widths."""
    rng = np.random.default_rng([block, prompts, seeds, round(deviation)])
    scores = rng.standard_normal((studies, prompts))
    rates = RATE + rng.normal(0, deviation / 150, (seeds, studies)).clip(-0.39, 0.39)
    frames = [verdicts(rate, scores, f"variant.s{number}", rng) for number, rate in enumerate(rates)]
    judged = pd.concat([verdicts(np.full(studies, BASE), scores, "base", rng), *frames], ignore_index=True)
    paired = paired_differences(judged, "base")
    if seeds > 1:
        paired = paired.assign(seed=paired["policy"], policy="variant")
    table = tabulate_improvement(paired, ["und"], RESAMPLES)
    table = table[table["family"].eq("primary")].set_index("opponent").loc[list(map(str, range(studies)))]
    architecture = np.full(studies, 150 * (RATE - BASE))
    truth = architecture if seeds > 1 else 150 * (rates[0] - BASE)
    inside = [int((table["low"].le(value) & table["high"].ge(value)).sum()) for value in (truth, architecture)]
    return *inside, float((table["high"] - table["low"]).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one number of prompts, 100 studies")
    smoke = parser.parse_args().smoke
    studies = 100 if smoke else STUDIES
    print("| prompts | seeds | deviation of a seed | about | coverage | mean width | covers the architecture |")
    print("|" + "---|" * 7)
    outside = rows = 0
    for prompts in PROMPTS[: 1 if smoke else None]:
        for seeds in SEEDS:
            for deviation in DEVIATIONS:
                total = np.zeros(3)
                size = min(studies, BLOCK)
                for start in range(0, studies, size):
                    total += covered(prompts, seeds, deviation, min(size, studies - start), start)
                share, architecture, width = 100 * total[0] / studies, 100 * total[1] / studies, total[2] / studies
                rows, outside = rows + 1, outside + (not 93 <= share <= 97)
                cell = f"{share:.1f}" if 93 <= share <= 97 else f"**{share:.1f}**"
                about = "architecture" if seeds > 1 else "trained model"
                print(f"| {prompts} | {seeds} | {deviation:g} points | {about} | {cell} | {width:.1f} | "
                      f"{architecture:.1f} |", flush=True)  # fmt: skip
    print(f"\n{outside} of {rows} values of the coverage are below 93% or above 97%.")


if __name__ == "__main__":
    main()
