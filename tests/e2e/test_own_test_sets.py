"""The user's own prompts, segments and sources, in a language without a two-letter code, are read and scored.

Only the translator runs: later stages are the same for all data, and test_own_data.py runs them.
"""

import gzip
import json

import pandas as pd

from polypref.files.conversations import to_messages

PROMPTS = [
    {"id": n, "language": code, "prompt": f"{code} {n}: is it day?"} for code in ("en", "de", "pt-PT") for n in range(3)
]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is it night?"},
    {"role": "assistant", "content": "No."},
]
CHATS = [
    {**row, "id": n, "prompt": [*CHAT, {"role": "user", "content": f"{row['prompt']} And {n}?"}]}
    for row in PROMPTS[::3]
    for n in (3, 4)
]
SEGMENTS = [
    {"source": f"the dog sees house {n}", "reference": ["der Hund sieht Haus", f"ein Hund {n}"], "lang": code}
    for code in ("deu", "European Portuguese")
    for n in range(6)
]
PAIRS = [{"question": f"What is {n}?", "best": f"It is {n}.", "worst": "No."} for n in range(12)]


def test_own_prompts_segments_and_sources(fresh):
    (fresh.folder / "prompts").mkdir()
    (fresh.folder / "prompts/texts.csv.gz").write_bytes(
        gzip.compress(pd.DataFrame(PROMPTS).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig"))
    )
    (fresh.folder / "prompts/chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CHATS))
    (fresh.folder / "segments.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SEGMENTS))
    (fresh.folder / "pairs").mkdir()
    for part in range(2):
        lines = "".join(json.dumps(row) + "\n" for row in PAIRS[part::2])
        (fresh.folder / f"pairs/{part}.jsonl").write_text(lines)
    nllb = {"engine": "seq2seq", "path": "resources/demo/models/nllb", "dtype": "float32"}
    config = {
        **fresh.config,
        "languages": ["en", "de", "pt-PT"],
        "sources": {
            "own": {"path": "pairs", "columns": {"prompt": "question", "chosen": "best", "rejected": "worst"}},
        },
        "checkpoints": {"nllb": {**nllb, "languages": {"en": "eng_Latn", "de": "deu_Latn", "pt-PT": "spa_Latn"}}},
        "architectures": {"A": {field: {"translate": "nllb"} for field in ("prompt", "chosen", "rejected")}},
        "wmt": {
            "path": "segments.jsonl", "format": "own", "columns": {"language": "lang"}, "translators": ["nllb"],
        },
        "training": {**fresh.config["training"], "batch_size": 4, "micro_batch_size": 4},
        "evaluation": {
            **fresh.config["evaluation"], "path": "prompts", "format": "own", "opponents": ["weak"],
            "prompts_per_language": 4,
        },
    }  # fmt: skip
    wanted = [f"results/prompts/{code}.parquet" for code in config["languages"]]
    wanted += [
        "results/tables/translation_scores.csv",
        "results/datasets/A.parquet",
        "results/requests/answer/weak/de.parquet",
    ]
    fresh.snakemake(*wanted, "--resources", "engine=2", config=config)

    prompts = {code: pd.read_parquet(fresh.results / f"prompts/{code}.parquet") for code in config["languages"]}
    assert {tuple(frame["prompt_id"]) for frame in prompts.values()} == {tuple(prompts["en"]["prompt_id"])}
    asked = pd.read_parquet(fresh.results / "requests/answer/weak/de.parquet")["messages"]
    assert [list(messages) for messages in asked] == [to_messages(text) for text in prompts["de"]["prompt"]]
    assert {len(messages) for messages in asked} == {1, 4}, "texts and conversations"
    scores = pd.read_csv(fresh.results / "tables/translation_scores.csv")
    assert set(scores["language"]) == {"de", "pt-PT"} and scores["signature_bleu"].str.contains("nrefs:2").all()
    assert len(pd.read_parquet(fresh.results / "pairs.parquet")) == 12
    assert set(pd.read_parquet(fresh.results / "datasets/A.parquet")["language"]) == {"en", "de", "pt-PT"}
