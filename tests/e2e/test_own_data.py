"""A user's data in TRL's two formats runs through the whole workflow, with two languages and one architecture."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

QUESTIONS = [
    "Name three fruits.",
    "What is 2 + 2?",
    "Write a haiku about rain.",
    "Why is the sky blue?",
    "Say hello.",
    "List:",
]


def test_own_data_runs_to_the_report(fresh):
    standard = [
        {
            "prompt": q,
            "chosen": f"A good answer to: {q}\n\n```python\nprint(1)\n```\n- one\n- two",
            "rejected": f"No. {n}",
        }
        for n, q in enumerate(QUESTIONS)
    ]
    lines = [*standard, {**standard[0], "chosen": "The same prompt again."}, {**standard[1], "prompt": "Long " * 2000}]
    (fresh.folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    chats = [
        {
            "prompt": [{"role": "user", "content": f"Chat {n}: {q}"}],
            "chosen": [{"role": "assistant", "content": "Gladly!"}],
            "rejected": [{"role": "assistant", "content": "No."}],
        }
        for n, q in enumerate(QUESTIONS)
    ]
    pq.write_table(pa.Table.from_pylist(chats), fresh.folder / "chats.parquet")
    config = {
        **fresh.config,
        "languages": ["en", "de"],
        "sources": {"own": {"path": "own.jsonl"}, "chats": {"path": "chats.parquet"}},
        "models": {"mid": {"checkpoint": "mid", "prompt": "x-alma", "split": "lines", "decoding": {"max_tokens": 24}}},
        "architectures": {"A": {field: {"translate": "mid"} for field in ("prompt", "chosen", "rejected")}},
        "wmt": {**fresh.config["wmt"], "translators": ["mid"]},
        "training": {**fresh.config["training"], "batch_size": 8, "micro_batch_size": 8},
        "evaluation": {**fresh.config["evaluation"], "opponents": ["weak"], "prompts_per_language": 4},
    }
    output = fresh.snakemake("--resources", "engine=2", config=config)
    assert "Report:    results/report/index.html" in output

    pairs = pd.read_parquet(fresh.results / "pairs.parquet")
    left = pd.read_parquet(fresh.results / "pairs.dropped.parquet")
    assert len(pairs) == 12 and sorted(left["step"]) == ["deduplicate", "length"]
    rows = pd.read_parquet(fresh.results / "datasets/A.parquet")
    dropped = pd.read_parquet(fresh.results / "datasets/A.dropped.parquet")
    assert len(rows) + len(dropped) == 24
    german = rows[(rows["language"] == "de") & (rows["source"] == "own")]
    assert german["chosen"].str.contains("```python\nprint(1)\n```", regex=False).all(), (
        "code blocks are not translated"
    )
    funnel = pd.read_csv(fresh.results / "tables/funnel.csv", keep_default_na=False)
    read = funnel[(funnel["stage"] == "source") & (funnel["step"] == "read")]
    assert dict(zip(read["name"], read["rows"], strict=True)) == {"own": 8, "chats": 6}
