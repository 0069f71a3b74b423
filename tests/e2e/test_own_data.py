"""A user's data in TRL's two formats runs through the whole workflow, with two languages and one architecture.

Some prompts are conversations, and neither the trained model nor the generator has a system role.
"""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from runs import ROOT

NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{{ '<|' + m.role + '|>' + m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SYSTEM = {"role": "system", "content": "You are terse."}
EARLIER = [{"role": "user", "content": "Name a tree."}, {"role": "assistant", "content": "The oak."}]
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
            "prompt": [SYSTEM] * (n % 2) + EARLIER * (n // 2 % 2) + [{"role": "user", "content": f"Chat {n}: {q}"}],
            "chosen": [{"role": "assistant", "content": "Gladly!"}],
            "rejected": [{"role": "assistant", "content": "No."}],
        }
        for n, q in enumerate(QUESTIONS)
    ]
    pq.write_table(pa.Table.from_pylist(chats), fresh.folder / "chats.parquet")
    asked = [
        {
            "id": n,
            "language": language,
            "prompt": [SYSTEM, *EARLIER, {"role": "user", "content": f"{language}: and {n}?"}] if n % 2 else f"{n}?",
        }
        for n in range(4)
        for language in ("en", "de")
    ]
    (fresh.folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    registry = yaml.safe_load((ROOT / "resources/demo/models.yaml").read_text(encoding="utf-8"))
    config = {
        **fresh.config,
        "checkpoints": {n: {**registry["checkpoints"][n], "chat_template": NO_SYSTEM} for n in ("base", "weak")},
        "languages": ["en", "de"],
        "sources": {"own": {"path": "own.jsonl"}, "chats": {"path": "chats.parquet"}},
        "models": {"mid": {"checkpoint": "mid", "prompt": "x-alma", "split": "lines", "decoding": {"max_tokens": 24}}},
        "architectures": {
            "A": {**{f: {"translate": "mid"} for f in ("prompt", "chosen")}, "rejected": {"generate": "weak"}}
        },
        "wmt": {**fresh.config["wmt"], "translators": ["mid"]},
        "training": {**fresh.config["training"], "batch_size": 8, "micro_batch_size": 8},
        "evaluation": {
            **fresh.config["evaluation"],
            "path": "asked.jsonl",
            "format": "own",
            "opponents": ["weak"],
            "prompts_per_language": 4,
        },
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

    chatty = rows[rows["source"] == "chats"].set_index(["item_id", "language"])
    roles = {key: [m["role"][0] for m in messages] for key, messages in chatty["prompt_messages"].items()}
    assert {"".join(found) for found in roles.values()} >= {"u", "su", "uau"}
    for (item, language), row in chatty.iterrows():
        assert roles[item, language] == roles.get((item, "en"), roles[item, language])
        assert [dict(m) for m in row["chosen_messages"][:-1]] == [dict(m) for m in row["prompt_messages"]]
        assert row["prompt"].startswith(("System: ", "User: ")) == (len(row["prompt_messages"]) > 1)
    requests = pd.read_parquet(fresh.results / "requests/generate/mid/weak/de.parquet")
    asked = requests.set_index("item_id")["messages"]
    given = chatty.xs("de", level="language")["prompt_messages"]
    assert not any(m["role"] == "system" for messages in asked for m in messages)
    for item, messages in given.items():
        system, first = messages[0], next(m for m in messages if m["role"] == "user")
        merged = f"{system['content']}\n\n{first['content']}" if system["role"] == "system" else first["content"]
        assert next(m for m in asked[item] if m["role"] == "user")["content"] == merged
    policy = json.loads((fresh.results / "policies/A/policy.json").read_text(encoding="utf-8"))
    trained = pd.read_parquet((fresh.folder / policy["path"]).parent / "data.parquet")["chosen_messages"]
    assert not any(m["role"] == "system" for messages in trained for m in messages)
    assert any("You are terse.\n\n" in messages[0]["content"] for messages in trained)
    assert any(len(messages) == 4 for messages in trained)
    card = Path(fresh.results / "datasets/A/README.md").read_text(encoding="utf-8")
    assert (
        f"rows the prompt is a conversation: a system message ({sum(r[0] == 's' for r in roles.values())} rows)" in card
    )

    questions = pd.read_parquet(fresh.results / "requests/judge/A/de.parquet")["messages"].map(
        lambda m: m[-1]["content"]
    )
    shown = questions.str.contains("System: You are terse.", regex=False)
    assert shown.sum() == (~shown).sum() > 0, "half of the evaluation prompts are conversations"
    assert questions[shown].str.contains("The oak.", regex=False).all()
    verdicts = pd.read_parquet(fresh.results / "verdicts/A/de.parquet")
    assert verdicts["prompt_id"].nunique() == 4 and verdicts["error"].isna().all()
    pieces = [path.read_text(encoding="utf-8") for path in (fresh.results / "report/data").glob("answers-de-*.js")]
    assert any("You are terse." in piece for piece in pieces), "the verdict browser shows the conversation"
