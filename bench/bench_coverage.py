"""Coverage of the 95% intervals in simulated studies whose truth is known, as a Markdown table.

Each row summarises 2,000 studies of one shape (1,000 for the largest shape). Every prompt has its own win probability,
sampled from a beta distribution with the given intraclass correlation; judgements that are not won are lost or tied
with equal probability. The intervals are those of ``evaluation.estimates`` (Win%, W - L, score; all languages pooled)
and of ``evaluation.improvement`` (variant and base, judged on the same prompts, whose probabilities come from the same
quantile). Coverage below 93% or above 97% is printed in bold.

    python bench/bench_coverage.py [--smoke]
"""

from __future__ import annotations

import argparse

import common  # noqa: F401 - adds the package to the path
import numpy as np
import pandas as pd
from scipy import stats

from polypref.evaluation.estimates import estimate_rates, pooled_rows
from polypref.evaluation.improvement import paired_differences, tabulate_improvement

STUDIES = 2000
RESAMPLES = 1999
MAX_JUDGEMENTS = 2_000_000
"""Judgements that are in memory at the same time."""
RATES = (0.5, 0.8, 0.94, 0.98)
BASES = {0.5: 0.5, 0.8: 0.7, 0.94: 0.9, 0.98: 0.94}
"""Win rate of the base for each win rate of the variant."""
SHAPES = [
    *((prompts, judgements, correlation) for prompts in (40, 186)
      for judgements, correlation in ((1, 0.0), (2, 0.0), (2, 0.3), (18, 0.0), (18, 0.3))),
    (750, 1, 0.0), (750, 2, 0.3), (750, 18, 0.3),
]  # fmt: skip
"""Number of prompts, judgements per prompt, intraclass correlation."""


def verdicts(rate: float, quantiles: np.ndarray, judgements: int, correlation: float, policy: str,
             rng: np.random.Generator) -> pd.DataFrame:  # fmt: skip
    """Simulate the judgements of some studies, each as an opponent; quantiles have the shape (studies, prompts)."""
    studies, prompts = quantiles.shape
    won = np.full(quantiles.shape, rate)
    if correlation:
        scale = (1 - correlation) / correlation
        won = stats.beta.ppf(quantiles, rate * scale, (1 - rate) * scale)
    uniform = rng.random((studies, prompts, judgements))
    chosen = np.where(uniform < won[..., None], 0, np.where(uniform < (1 + won[..., None]) / 2, 1, 2))
    index = np.indices(chosen.shape).reshape(3, -1)
    return pd.DataFrame({"opponent": index[0], "prompt_id": index[1], "policy": policy, "language": "und", "run": 0,
                         "item_id": index[1].astype(str), "status": "parsed",
                         "verdict": np.array(["policy", "opponent", "tie"])[chosen.ravel()]})  # fmt: skip


def covered(rate: float, prompts: int, judgements: int, correlation: float, studies: int, seed: int) -> dict[str, int]:
    """Count the studies in which each interval contains the true value."""
    rng = np.random.default_rng([seed, prompts, judgements, round(100 * rate), round(100 * correlation)])
    quantiles = rng.random((studies, prompts))
    frames = [verdicts(p, quantiles, judgements, correlation, name, rng)
              for p, name in ((rate, "variant"), (BASES[rate], "base"))]  # fmt: skip
    judged = pd.concat(frames, ignore_index=True).assign(opponent=lambda frame: frame["opponent"].astype(str))
    rows = pooled_rows(estimate_rates(judged[judged["policy"].eq("variant")], RESAMPLES))
    lost = (1 - rate) / 2
    truths = {"win_percent": 100 * rate, "difference": 100 * (rate - lost), "score": 100 * (rate + lost / 2)}
    found = {name: (rows[f"{name}_low"].le(truth + 1e-9) & rows[f"{name}_high"].ge(truth - 1e-9)).sum()
             for name, truth in truths.items()}  # fmt: skip
    table = tabulate_improvement(paired_differences(judged, "base"), ["und"], RESAMPLES)
    table, truth = table[table["family"].eq("primary")], 150 * (rate - BASES[rate])
    return found | {"improvement": (table["low"].le(truth) & table["high"].ge(truth)).sum()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one shape, 100 studies")
    smoke = parser.parse_args().smoke
    names = ("win_percent", "difference", "score", "improvement")
    print(
        "| prompts | judgements per prompt | correlation | win rate | win rate of the base | "
        + " | ".join(names)
        + " |"
    )
    print("|" + "---|" * 9)
    outside = 0
    for prompts, judgements, correlation in SHAPES[: 1 if smoke else None]:
        for rate in RATES:
            total = dict.fromkeys(names, 0)
            studies = 100 if smoke else STUDIES if prompts * judgements < 10_000 else STUDIES // 2
            block = max(1, min(studies, MAX_JUDGEMENTS // (2 * prompts * judgements)))
            for start in range(0, studies, block):
                size = min(block, studies - start)
                for name, count in covered(rate, prompts, judgements, correlation, size, start).items():
                    total[name] += int(count)
            shares = [100 * total[name] / studies for name in names]
            outside += sum(not 93 <= share <= 97 for share in shares)
            cells = " | ".join(f"{share:.1f}" if 93 <= share <= 97 else f"**{share:.1f}**" for share in shares)
            shape = f"{prompts} | {judgements} | {correlation:g} | {100 * rate:g}% | {100 * BASES[rate]:g}%"
            print(f"| {shape} | {cells} |", flush=True)
    values = len(RATES) * (1 if smoke else len(SHAPES)) * len(names)
    print(f"\n{outside} of {values} values are below 93% or above 97%.")


if __name__ == "__main__":
    main()
