"""A conversation survives from the source to the trainer's file: asked, collected, built, and rendered."""

from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest
from building import build_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from word_tokenizer import TEMPLATE, word_tokenizer

from polypref.requests.asking import RequestSettings
from polypref.requests.collect import collect_texts
from polypref.requests.translate import ask_translations
from polypref.sources.formats import clean, normalise
from polypref.training import trainer_data
from polypref.training.trainer_data import check_lengths, fit_systems, read_pairs, render, write_pairs

ASKED = RequestSettings("m", "owner/name", "abc", False, {"max_tokens": 8})
TEXT = st.lists(st.sampled_from(["w1", "w2.", "W3?", "\n", "- ", "1.", "x = 2", "```\nw4\n```", "é"]), max_size=8).map(
    lambda parts: "w0 " + " ".join(parts)
)
PROMPT = st.tuples(st.booleans(), TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=3), TEXT).map(
    lambda made: [
        *([{"role": "system", "content": made[1]}] * made[0]),
        *(turn for asked, answered in made[2] for turn in (message("user", asked), message("assistant", answered))),
        message("user", made[3]),
    ]
)


def message(role: str, content: str) -> dict:
    return {"role": role, "content": content}


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer whose template has no system role."""
    made = word_tokenizer()
    made.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
    )
    return made


def translated(pairs: list[dict], field: str, unit: str) -> list[dict]:
    """Translate a field, keeping the words and marking each unit."""
    rows = ask_translations(pairs, field, ASKED, "text", unit, "de", "German")
    base = {"finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1, "logprobs": None, "error": None}
    found = {r["request_id"]: {**base, "text": r["messages"][0]["content"] + "!"} for r in rows if r["request_id"]}
    return collect_texts(rows, found, "f")


@settings(max_examples=60, deadline=None)
@given(st.lists(PROMPT, min_size=1, max_size=4), st.sampled_from(["none", "lines", "sentences"]))
def test_messages_survive_from_the_source_to_the_trainer(tmp_path_factory, tokenizer, prompts, unit):
    given_rows = [{"prompt": prompt, "chosen": f"w1 w{n}", "rejected": f"w2 w{n}"} for n, prompt in enumerate(prompts)]
    pairs = list(normalise("s", "preference", given_rows, "f", "error", [].append))
    texts = {field: translated(pairs, field, unit) for field in ("prompt", "chosen", "rejected")}
    rows, dropped = build_dataset(pairs, {"en": dict.fromkeys(texts), "de": texts})
    assert not dropped and len(rows) == 2 * len(prompts)
    built = {(row["item_id"], row["language"]): row for row in rows}
    for pair, given_row in zip(pairs, given_rows, strict=True):
        english, german = (built[pair["item_id"], code] for code in ("en", "de"))
        cleaned = [message(turn["role"], clean(turn["content"])) for turn in given_row["prompt"]]
        assert english["prompt_messages"] == cleaned
        assert [m["role"] for m in german["prompt_messages"]] == [m["role"] for m in cleaned]
        for own, original in zip(german["prompt_messages"], cleaned, strict=True):
            assert "!" in own["content"] and own["content"].replace("!", "") == original["content"]
        assert german["chosen_messages"][:-1] == german["rejected_messages"][:-1] == german["prompt_messages"]
    file = tmp_path_factory.mktemp("data") / "data.parquet"
    write_pairs([pa.Table.from_pylist(rows, trainer_data.SCHEMA)], file)
    fitted, merged = fit_systems(pd.concat(read_pairs(file), ignore_index=True), tokenizer)
    assert merged == 2 * sum(prompt[0]["role"] == "system" for prompt in prompts)
    for row, sides, shown in zip(rows, fitted.itertuples(), render(fitted, tokenizer), strict=True):
        assert not any(m["role"] == "system" for m in sides.chosen_messages)
        assert all(m["content"] in shown.prompt for m in row["prompt_messages"])
        assert shown.chosen.startswith(shown.prompt)


def test_openrlhf_reads_conversations_as_predicted(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    openrlhf = pytest.importorskip("openrlhf.datasets.reward_dataset")
    prompts = [
        [message("system", "w1 w2"), message("user", "w3")],
        [message("user", "w1"), message("assistant", "w2"), message("user", "w3 w4")],
    ]
    pairs = pd.DataFrame(
        {
            "item_id": f"id{n}", "language": "de",
            "chosen_messages": [*prompt, message("assistant", "w5 w6")],
            "rejected_messages": [*prompt, message("assistant", "w7")],
        }
        for n, prompt in enumerate(prompts)
    )  # fmt: skip
    fitted, merged = fit_systems(pairs, tokenizer)
    assert merged == 1
    foretold = check_lengths(fitted, tokenizer, 30)
    keys = SimpleNamespace(chosen_key="chosen_messages", rejected_key="rejected_messages", apply_chat_template=True)
    real = openrlhf.RewardDataset(
        datasets.Dataset.from_list(fitted.to_dict("records")), tokenizer, 30,
        SimpleNamespace(args=SimpleNamespace(data=keys)), is_dpo=True, num_processors=None,
    )  # fmt: skip
    assert len(real) == 2
    for place, row in enumerate(foretold.itertuples()):
        chosen, _, rejected, _, prompt_length = real[place]
        assert (prompt_length, chosen.shape[1], rejected.shape[1]) == (
            row.prompt_tokens,
            row.chosen_tokens,
            row.rejected_tokens,
        )
