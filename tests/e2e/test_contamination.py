"""A prompt of the miniature's evaluation set in a source is left out of the base set, listed and counted."""

import json

import pandas as pd
import pytest
from runs import Run

PROMPTS = [
    "Write a script that prints it and then waits for a minute.",
    "Name the capital of France and its longest river.",
    "what colour is apple? where lives wolf?",  # English prompt 0 of the evaluation set
    "Where does the wolf live and what does it eat?",
]
AYA = "data/aya/dolly_machine_translated"
TARGET = ("--", "results/pairs.parquet")


@pytest.fixture
def contaminated(fresh) -> Run:
    german = json.loads((fresh.folder / AYA / "deu.jsonl").read_text(encoding="utf-8").splitlines()[2])
    texts = [*PROMPTS, german["inputs"]]
    rows = [{"prompt": text, "chosen": "The cat eats.", "rejected": "A red hat."} for text in texts]
    (fresh.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    fresh.config["sources"] = {"mine": {"path": "mine.jsonl", "license": "MIT"}}
    return fresh


def test_prompts_of_the_evaluation_set_are_left_out(contaminated):
    output = contaminated.snakemake(*TARGET)
    assert "2 pairs are dropped because their prompt is in the evaluation set" in output
    left = pd.read_parquet(contaminated.results / "pairs.dropped.parquet")
    assert list(zip(left["row"], left["step"], left["reason"], strict=True)) == [
        (3, "contamination", "evaluation prompt 0 in eng (exact)"),
        (5, "contamination", "evaluation prompt 2 in deu (exact)"),
    ]
    assert len(pd.read_parquet(contaminated.results / "pairs.parquet")) == 3

    def stale(**changes) -> bool:
        return "sample_pairs" in contaminated.planned(*TARGET, config={**contaminated.config, **changes})

    fewer = {**contaminated.config["evaluation"], "prompts_per_language": 3}
    assert not stale(languages=["en", "de"]) and not stale(evaluation=fewer), "the whole evaluation set is compared"
    keep = {**contaminated.config["sampling"], "contaminated": "keep"}
    contaminated.snakemake(*TARGET, config={**contaminated.config, "sampling": keep})
    assert len(pd.read_parquet(contaminated.results / "pairs.parquet")) == 5

    with open(contaminated.folder / AYA / "eng.jsonl", "a", encoding="utf-8") as file:
        row = {"id": 99, "inputs": PROMPTS[0], "targets": "", "language": "eng", "script": "Latn"}
        file.write(json.dumps(row) + "\n")
    contaminated.snakemake(*TARGET)
    left = pd.read_parquet(contaminated.results / "pairs.dropped.parquet")
    assert left["reason"].iloc[0] == "evaluation prompt 99 in eng (exact)" and len(left) == 3
