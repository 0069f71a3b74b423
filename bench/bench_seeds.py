"""Coverage of the 95% intervals of the improvement with one, three and five training seeds, as a Markdown table.

Each row summarises simulated studies whose truth is known. A seed's improvement differs from the architecture's by a
normal deviation of the given size (in points of W - L). The base and the policies of all seeds are judged on the same
prompts, four times each. The win probability of a policy varies between prompts (uniformly, with the win rate as its
mean), in part equally for all policies. The intervals are those of ``evaluation.improvement``.

With several seeds, the true value is the improvement of the architecture. With one seed, the interval is about the
trained model, whose improvement includes the deviation of its seed; the last column counts how often it also covers the
improvement of the architecture, which it does not claim.

    python bench/bench_seeds.py [--smoke]
"""

from __future__ import annotations

import argparse

import common  # noqa: F401 - adds the package to the path
import numpy as np
from scipy.special import ndtr

from polypref.evaluation.improvement import estimate_means
from polypref.evaluation.seeds import added_variance, contributions

STUDIES = 2000
RESAMPLES = 999
RATE, BASE = 0.6, 0.5
"""Win rates of the architecture and of the base; the other judgements are lost or tied with equal probability."""
SPREAD = 0.8
"""Half the range of the win probabilities on different prompts, as a share of the largest possible."""
SHARED = 0.7
"""Correlation between policies of the normal scores that determine their win probabilities on a prompt."""
JUDGEMENTS = 4
NOTE = """
Each row summarises 2,000 simulated studies, in which the base and each seed's policy are judged four times on each
prompt. With several seeds, the interval is about the architecture. With one seed it is about the trained model: the
last column counts how often it also contains the improvement of the architecture, which it does not claim. If three
seeds differ greatly, the interval is wide, because Student's quantile for two degrees of freedom is 4.3."""
PROMPTS, SEEDS, DEVIATIONS = (40, 186), (1, 3, 5), (2.0, 6.0, 18.0)


def points(rates: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulate the mean points of W - L of one policy on each prompt.

    Parameters
    ----------
    rates : win rate of the policy in each study.
    scores : normal scores (prompts, studies) that all policies of a study share.
    """
    own = np.sqrt(SHARED) * scores + np.sqrt(1 - SHARED) * rng.standard_normal(scores.shape)
    won = rates + SPREAD * np.minimum(rates, 1 - rates) * (2 * ndtr(own) - 1)
    wins = rng.binomial(JUDGEMENTS, won)
    losses = rng.binomial(JUDGEMENTS - wins, 0.5)
    return 100 * (wins - losses) / JUDGEMENTS


def covered(prompts: int, seeds: int, deviation: float, studies: int) -> tuple[float, float, float]:
    """Return the percentages of intervals with the true value and with the architecture's, and their mean width."""
    rng = np.random.default_rng([prompts, seeds, round(deviation)])
    scores = rng.standard_normal((prompts, studies))
    rates = RATE + rng.normal(0, deviation / 150, (seeds, studies)).clip(-0.39, 0.39)
    base = points(np.full(studies, BASE), scores, rng)
    differences = np.stack([points(rate, scores, rng) - base for rate in rates], axis=-1)  # (prompts, studies, seeds)
    sums = np.stack([differences, np.ones_like(differences)], axis=-1)
    added = added_variance(contributions(sums))
    found = estimate_means(sums.sum(axis=2), added, np.full(studies, seeds), RESAMPLES, 1)
    architecture = np.full(studies, 150 * (RATE - BASE))
    truth = architecture if seeds > 1 else 150 * (rates[0] - BASE)
    inside = [100 * np.mean((found.low <= value) & (found.high >= value)) for value in (truth, architecture)]
    return *inside, np.mean(found.high - found.low)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one number of prompts, 100 studies")
    smoke = parser.parse_args().smoke
    print("| prompts | seeds | deviation of a seed | about | coverage | mean width | covers the architecture |")
    print("|" + "---|" * 7)
    outside = rows = 0
    for prompts in PROMPTS[: 1 if smoke else None]:
        for seeds in SEEDS:
            for deviation in DEVIATIONS:
                share, architecture, width = covered(prompts, seeds, deviation, 100 if smoke else STUDIES)
                rows, outside = rows + 1, outside + (not 93 <= share <= 97)
                cell = f"{share:.1f}" if 93 <= share <= 97 else f"**{share:.1f}**"
                about = "architecture" if seeds > 1 else "trained model"
                print(f"| {prompts} | {seeds} | {deviation:g} points | {about} | {cell} | {width:.1f} | "
                      f"{architecture:.1f} |", flush=True)  # fmt: skip
    print(f"\n{outside} of {rows} values of the coverage are below 93% or above 97%.")
    print(NOTE)


if __name__ == "__main__":
    main()
