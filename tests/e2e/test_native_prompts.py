"""An architecture with native prompts becomes a data set whose prompts were written in the language."""

import json

import pandas as pd

GERMAN = [
    "Nenne drei Früchte.",
    "Was ist 2 + 2?",
    "Schreibe ein Gedicht über den Regen.",
    "Warum ist der Himmel blau?",
    "Wie heißt die Hauptstadt von Island?",
]


def test_native_prompts_are_answered_and_built(fresh):
    rows = [{"inputs": text, "code": "deu"} for text in GERMAN] + [{"inputs": "Name a lake.", "code": "eng"}]
    (fresh.folder / "native.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = {
        **fresh.config,
        "languages": ["en", "de"],
        "native": {"own": {"path": "native.jsonl", "prompt": "inputs", "language": "code", "license": "cc0-1.0"}},
        "sampling": {**fresh.config["sampling"], "items": 4},
        "architectures": {
            "N": {"prompt": {"native": "own"}, "chosen": {"generate": "mid"}, "rejected": {"generate": "weak"}},
        },
        "models": {
            "mid": {"checkpoint": "mid", "prompt": "x-alma", "split": "lines", "decoding": {"max_tokens": 24}},
            "weak": {"checkpoint": "weak", "prompt": "x-alma", "decoding": {"max_tokens": 24}},
        },
    }
    targets = ["results/datasets/N/README.md", "results/tables/funnel.csv"]
    fresh.snakemake(*targets, "--resources", "engine=2", config=config)
    data = pd.read_parquet(fresh.results / "datasets/N.parquet")
    dropped = pd.read_parquet(fresh.results / "datasets/N.dropped.parquet")
    german = data[data["language"] == "de"]
    assert set(german["prompt"]) <= set(GERMAN) and set(german["source"]) == {"own"}
    assert set(german["prompt_provenance"]) == {'{"model": "native"}'}
    assert len(german) + (dropped["language"] == "de").sum() == 4
    pairs = pd.read_parquet(fresh.results / "pairs.parquet")
    english = data[data["language"] == "en"]
    assert set(english["item_id"]) <= set(pairs["item_id"]) and set(german["item_id"]).isdisjoint(pairs["item_id"])
    signs = pd.read_parquet(fresh.results / "diagnostics/N.parquet").query("language == 'de'")
    assert len(signs) and not signs["prompt_source_overlap"].any(), "native prompts are not compared with an original"
    left = pd.read_parquet(fresh.results / "native/own/de.dropped.parquet")
    assert list(left["reason"]) == ["not sampled"] and list(left["language"]) == ["de"]
    funnel = pd.read_csv(fresh.results / "tables/funnel.csv", keep_default_na=False)
    own = funnel[funnel["stage"] == "native prompts"]
    counts = [["own", "de", "read", 5], ["own", "de", "sample", 1], ["own", "de", "kept", 4]]
    assert own[["name", "language", "step", "rows"]].values.tolist() == counts
    header = (fresh.results / "datasets/N/README.md").read_text(encoding="utf-8")
    assert "written in the language (set `own`)" in header and "own: cc0-1.0" in header
