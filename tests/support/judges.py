"""Simulated judges: verdicts on synthetic answers and on a sanity set by judges with a known behaviour."""

from pathlib import Path

import numpy as np
import pandas as pd
import synthetic

from polypref.files import schemas
from polypref.files.table_writer import write_table
from polypref.requests.sanity import ITSELF, OTHER

KINDS = ("always_a", "random", "length", "right_70", "good")


def judge(kind: str, order: str, right: str, policy_length: int, opponent_length: int, rng: np.random.Generator) -> str:
    """Return the verdict of a judge; ``right`` is the correct one."""
    wrong = {"policy": "opponent", "opponent": "policy", "tie": "policy"}[right]
    if kind == "always_a":
        return order.removesuffix("_first")
    if kind == "random":
        return str(rng.choice(["policy", "opponent", "tie"]))
    if kind == "length" and policy_length != opponent_length:
        return "policy" if policy_length > opponent_length else "opponent"
    if kind == "length":
        return "tie"
    return right if rng.random() < (0.7 if kind == "right_70" else 0.97) else wrong


def lengths(prompts: int) -> dict[tuple[str, str], int]:
    """Return the length of each answer in characters, by model and item_id."""
    return {
        (name, row.item_id): len(row.text)
        for name in [*synthetic.POLICIES, *synthetic.OPPONENTS]
        for code in synthetic.LANGUAGES
        for row in synthetic.answers(name, code, prompts).itertuples()
    }


def judged(kind: str, prompts: int = 20, seed: int = 7) -> tuple[dict[tuple[str, str], pd.DataFrame], pd.DataFrame]:
    """Return the verdicts of a judge by policy and language (schema VERDICTS), and those on a sanity set."""
    rng, sizes = np.random.default_rng(seed), lengths(prompts)
    frames, sanity = {}, []
    for code in synthetic.LANGUAGES:
        for policy in synthetic.POLICIES:
            frame = synthetic.verdicts(policy, code, prompts)
            truth = np.repeat(rng.choice(["policy", "opponent"], len(frame) // 2), 2)
            frame["verdict"] = [
                judge(kind, row.order, right, sizes[policy, row.item_id], sizes[row.opponent, row.item_id], rng)
                for row, right in zip(frame.itertuples(), truth, strict=True)
            ]
            frames[policy, code] = frame.assign(status="parsed")
        for number in range(prompts):
            own, other = rng.integers(50, 200, 2)
            for what, right, both in ((ITSELF, "tie", (own, own)), (OTHER, "policy", (own, other))):
                for order in ("policy_first", "opponent_first"):
                    sanity.append({"item_id": f"{code}-{number:04d}", "prompt_id": f"p{number:04d}", "language": code,
                                   "policy": what, "opponent": "mid", "order": order, "status": "parsed",
                                   "verdict": judge(kind, order, right, *both, rng)})  # fmt: skip
    return frames, pd.DataFrame(sanity)


def plant(folder: Path, kind: str, prompts: int = 20) -> None:
    """Replace the verdicts below a folder of synthetic results by those of a simulated judge."""
    frames, sanity = judged(kind, prompts)
    for (policy, code), frame in frames.items():
        synthetic.write(frame, folder / f"verdicts/{policy}/{code}.parquet", schemas.VERDICTS)
    first = sanity["order"].str.removesuffix("_first")
    reply = np.where(sanity["verdict"].eq("tie"), "TIE", np.where(sanity["verdict"].eq(first), "A", "B"))
    asked = sanity.assign(request_id=[f"sanity{n}" for n in range(len(sanity))], text=reply, finish_reason="stop",
                          model="judge", part=0, before="", after="").to_dict("records")  # fmt: skip
    for path, schema in (("requests/judge/sanity", schemas.JUDGE_REQUESTS),
                         ("completions/judge/judge", schemas.COMPLETIONS)):  # fmt: skip
        rows = [{name: row.get(name) for name in schema.names} for row in asked]
        write_table(folder / f"{path}.parquet", rows, schema)
