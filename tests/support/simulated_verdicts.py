"""Simulated verdicts whose true win rates are known, to measure how well intervals cover them."""

import numpy as np
import pandas as pd


def simulate(
    prompts: int, languages: int, seed: int, opponents: int = 1, runs: int = 1, spread: float = 0.8
) -> tuple[pd.DataFrame, np.random.Generator]:
    """Simulate verdicts with a random effect per prompt that all languages share; by symmetry the true W - L is 0."""
    rng = np.random.default_rng(seed)
    index = [range(prompts), [f"o{n}" for n in range(opponents)], [f"l{n}" for n in range(languages)], range(runs)]
    frame = pd.MultiIndex.from_product(index, names=["prompt_id", "opponent", "language", "run"]).to_frame(index=False)
    worth = rng.normal(0, spread, prompts)[frame["prompt_id"]] + rng.logistic(0, 1, len(frame))
    frame["verdict"] = np.select([worth > 0.4, worth < -0.4], ["policy", "opponent"], "tie")
    return frame.assign(policy="A", status="parsed", item_id=frame["prompt_id"]), rng
