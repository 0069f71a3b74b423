"""The workflow on a real model in every role: SmolLM2-135M-Instruct, in English, Spanish and German.

It tests what tiny models can't break: a real tokenizer (byte-level BPE), a template that adds a system prompt, long
sampled answers, and a judge that decides by position. tools/real_model.py makes the model if it is missing. To save
time while working on these tests, set POLYPREF_REAL_RUN to the folder of an earlier session's run.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from runs import ROOT, Run, finish_run, read_run

from polypref.config.loading import load_config
from polypref.files.result_tables import read_csv

REAL = Path(__file__).parent / "real_model"
MODEL = ROOT / "build/real_model/SmolLM2-135M-Instruct"
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
NEARLY_TIED = 1e-3
"""Logits of two tokens that differ by less may be ranked otherwise by another implementation in float32."""


@pytest.fixture(scope="module")
def real_run(tmp_path_factory) -> Run:
    """The finished run on the real model."""
    if not MODEL.is_dir():
        made = subprocess.run([sys.executable, str(ROOT / "tools/real_model.py")], capture_output=True, text=True)
        if made.returncode:
            message = f"the real model can't be made: {made.stderr[-1000:]}"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    if finished := os.environ.get("POLYPREF_REAL_RUN"):
        return read_run(Path(finished))
    return finish_run(Run.of_file(REAL / "config.yaml", tmp_path_factory.mktemp("real_model")))


def read_parts(folder: Path) -> pd.DataFrame:
    """Read all Parquet files below a folder as one frame."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.rglob("*.parquet"))], ignore_index=True)


def keys(rows: pd.DataFrame, other: str = "language") -> set[tuple[str, str]]:
    """Return the item_id and another column of each row."""
    return set(rows[["item_id", other]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def completed(real_run) -> pd.DataFrame:
    """All requests that were sent, with their completions; equal requests once."""
    requests = read_parts(real_run.results / "requests").dropna(subset=["request_id"]).drop_duplicates("request_id")
    completions = read_parts(real_run.results / "completions").drop_duplicates("request_id")
    found = requests.merge(completions, on="request_id", how="left", validate="one_to_one")
    return found.assign(messages=found["messages"].map(lambda turns: [dict(turn) for turn in turns]))


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def engine(real_run) -> Iterator:
    """The engine of the workflow with the real model."""
    from polypref.requests.engines.vllm import open_engine

    checkpoint = load_config(real_run.config, ROOT).checkpoints["smollm2"]
    engine = open_engine(checkpoint, str(MODEL), None)
    yield engine
    engine.close()


# -- requests and tokens --------------------------------------------------------------------------------------------


def test_every_request_was_answered(completed):
    assert len(completed) > 60 and completed["text"].notna().all() and completed["error"].isna().all()


def test_rendered_requests_are_those_of_apply_chat_template(completed, tokenizer, engine):
    for row in completed.itertuples():
        expected = tokenizer.apply_chat_template(row.messages, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(expected, add_special_tokens=False)["input_ids"]
        assert expected.startswith(SYSTEM), "the template adds its own system prompt"
        assert engine.render(row.messages)["prompt_token_ids"] == ids
        assert row.prompt_tokens == len(ids)


def test_the_trainer_reads_the_tokens_that_vllm_sampled(real_run, tokenizer, engine, tmp_path, monkeypatch):
    """Training pairs have the tokens of prompt and answer and an end token, except for different BPE merges."""
    from vllm import SamplingParams

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    openrlhf = pytest.importorskip("openrlhf.datasets.reward_dataset")
    rows = pd.read_parquet(real_run.results / "datasets/A.parquet")
    chats = [[dict(turn) for turn in messages] for messages in rows["prompt_messages"]]
    sampled = engine.llm.chat(chats, SamplingParams(max_tokens=48, temperature=0.7, seed=1), use_tqdm=False)
    texts = [output.outputs[0].text for output in sampled]
    pairs = [
        {"chosen_messages": [*chat, {"role": "assistant", "content": text}],
         "rejected_messages": [*chat, {"role": "assistant", "content": "No."}]}
        for chat, text in zip(chats, texts, strict=True)
    ]  # fmt: skip
    keys = SimpleNamespace(chosen_key="chosen_messages", rejected_key="rejected_messages", apply_chat_template=True)
    strategy = SimpleNamespace(args=SimpleNamespace(data=keys))
    given = datasets.Dataset.from_list(pairs)
    trained = openrlhf.RewardDataset(given, tokenizer, 512, strategy, is_dpo=True, num_processors=None)
    assert len(trained) == len(pairs)
    same = 0
    for (chosen, _, _, _, prompt_length), output, text in zip(trained, sampled, texts, strict=True):
        ids, answer = chosen[0].tolist(), list(output.outputs[0].token_ids)
        assert ids[:prompt_length] == output.prompt_token_ids
        end = [] if answer[-1] == tokenizer.eos_token_id else [tokenizer.eos_token_id]
        if tokenizer(text)["input_ids"] == [token for token in answer if token != tokenizer.eos_token_id]:
            assert ids[prompt_length:] == answer + end
            same += 1
        else:  # sampling may produce a text from other tokens than the tokenizer does; a truncated character is U+FFFD
            assert tokenizer.decode(ids[prompt_length:], skip_special_tokens=True) == text
    assert same > 0.6 * len(pairs)


def test_greedy_texts_are_those_of_generate(completed, tokenizer):
    """Compare all greedy translations, in float32; a different token is accepted only if two are nearly tied."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32")
    greedy = completed[completed["model"].eq("translator")].head(12)
    assert len(greedy) == 12
    ties = 0
    for row in greedy.itertuples():
        limit = json.loads(row.decoding)["max_tokens"]
        rendered = tokenizer.apply_chat_template(row.messages, add_generation_prompt=True, tokenize=False)
        inputs = tokenizer(rendered, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=limit, do_sample=False, return_dict_in_generate=True,
                                    output_logits=True)  # fmt: skip
        text = tokenizer.decode(output.sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        if text != row.text:
            best = torch.stack(output.logits).squeeze(1).topk(2).values
            assert (best[:, 0] - best[:, 1]).min() < NEARLY_TIED, (text, row.text)
            ties += 1
    assert ties <= 2


# -- answers --------------------------------------------------------------------------------------------------------


def test_truncated_answers_are_reported(real_run, completed):
    limits = completed["decoding"].map(lambda decoding: json.loads(decoding)["max_tokens"])
    cut = completed["finish_reason"].eq("length")
    assert cut.any() and (completed.loc[cut, "completion_tokens"] == limits[cut]).all()
    assert set(completed["finish_reason"]) == {"stop", "length"}
    flagged = read_csv(real_run.results / "tables/answer_flags.csv")
    flagged = flagged[flagged["flag"].eq("truncated")]
    answers = pd.concat([pd.read_parquet(path).assign(name=path.parent.name)
                         for path in (real_run.results / "answers").glob("*/*.parquet")])  # fmt: skip
    expected = answers[answers["finish_reason"].eq("length")]
    assert keys(flagged, "name") == keys(expected, "name")
    signs = pd.read_parquet(real_run.results / "diagnostics/A.parquet")
    for field, model in (("chosen", "writer"), ("rejected", "babbler")):
        made = pd.concat(map(pd.read_parquet, (real_run.results / "responses").glob(f"*/{model}/*.parquet")))
        cut = signs["flags"].map(lambda flags, flag=f"{field}_truncated": flag in flags)
        expected = made[made["finish_reason"].eq("length")].merge(signs[["item_id", "language"]])
        assert len(expected) and keys(signs[cut]) == keys(expected)


# -- the report -----------------------------------------------------------------------------------------------------


def test_the_first_screen_says_that_nothing_can_be_concluded_and_why(real_run):
    page = (real_run.results / "report/index.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.split("<main")[1])))
    first = text[: text.index("Checks The worst")]
    assert "No conclusion can be drawn: the judge chose the answer shown first in" in first
    assert "The judge decides by position" in first
    assert not re.search(r"gains the most|clear winner|best variant|improves on the base", first)
    summary = real_run.output[real_run.output.index("No conclusion can be drawn from this run.") :]
    assert "FAILED  Judge: position bias: the judge chose the answer shown first" in summary
    assert not re.search(r"gains the most|best variant", real_run.output)


def test_the_health_checks_describe_the_run(real_run):
    health = read_csv(real_run.results / "tables/health.csv")
    status = health.groupby("check")["status"].agg(set)
    assert status["judge_position"] == {"fail"} and status["judge_order_kappa"] == {"fail"}
    assert status["judge_errors"] == status["judge_unparsed"] == {"pass"}
    position = health.set_index("check").loc["judge_position"]
    assert position["value"] > 90 and str(position["voids"]) == "True"
    cut = health[health["check"].eq("data_truncated")].set_index("about")["status"]
    assert cut["A rejected"] == "fail"
    assert "fail" in set(health.loc[health["about"].eq("A rejected"), "status"])
    assert (read_csv(real_run.results / "tables/improvement_by_language.csv")["detectable"].dropna() > 0).all()
