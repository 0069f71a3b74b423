"""Explain best beams of `complete` that differ from those of `generate`: ties, or rounding.

Both outputs are scored by the model in float64, one at a time and without padding. A search follows the scores of its
own arithmetic, so rounding can also decide which beams are dropped on the way. `generate` therefore searches again in
float64, for each of these prompts alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

HEAD = ["prompt", "score of complete's", "score of generate's", "difference", "the search in float64 finds"]


def differences(model: Path, prompts: list[list[int]], ours: list[Any], theirs: list[Any], tokens: int) -> list[Any]:
    """Return a row as in ``HEAD`` for each output, in token ids, that differs; scores are mean log-probabilities."""
    which = [n for n, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
    if not which:
        return []
    import torch
    from beam_sides import generated
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64).eval()
    rows = []
    for n in which:
        scores = [score(loaded, prompts[n], output) for output in (ours[n], theirs[n])]
        (exact,) = generated(loaded, tokenizer, [prompts[n]], tokens)
        found = "complete's" if exact == ours[n] else "generate's" if exact == theirs[n] else "another"
        rows.append([n, *(f"{one:.7f}" for one in scores), f"{scores[0] - scores[1]:+.1e}", found])
    return rows


def score(loaded: Any, prompt: list[int], output: list[int]) -> float:
    """Return the mean natural-log probability of an output's tokens, including its end token."""
    import torch

    with torch.inference_mode():
        logits = loaded(torch.tensor([prompt + output])).logits[0, len(prompt) - 1 : -1]
    logprobs = logits.log_softmax(-1).gather(1, torch.tensor(output)[:, None])
    return logprobs.mean().item()
