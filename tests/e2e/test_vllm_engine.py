"""The vLLM engine on a tiny model with random weights, compared with vLLM's and Hugging Face's own functions."""

import math
import os
import shutil
from pathlib import Path

import pytest
from random_models import CHAT_TEMPLATE, chat_checkpoint, chat_request, complete, save_chat_model

from polypref.config.sections import Checkpoint
from polypref.requests.engines import EngineError, Request
from polypref.requests.engines.vllm import AHEAD

DEMO = Path(__file__).parents[2] / "resources/demo/models"
os.environ["HF_HUB_OFFLINE"] = "1"
CONTENTS = [f"the fox {i} " * (1 + i % 5) for i in range(40)]


def open_vllm(checkpoint):
    from polypref.requests.engines.vllm import open_engine

    return open_engine(checkpoint, checkpoint.path, None)


@pytest.fixture(scope="module")
def engine(chat_model):
    engine = open_vllm(chat_checkpoint(chat_model))
    yield engine
    engine.close()


def test_prompts_and_completions_equal_those_of_llm_chat(engine):
    from vllm import SamplingParams

    chats = [[{"role": "user", "content": content}] for content in CONTENTS]
    bare = engine.llm.chat(chats, SamplingParams(max_tokens=24, temperature=0), use_tqdm=False)
    ours = complete(engine, [chat_request(f"r{i}", content) for i, content in enumerate(CONTENTS)])
    for i, output in enumerate(bare):
        rendered = engine.render(chats[i])["prompt_token_ids"]
        assert rendered == output.prompt_token_ids
        assert rendered[:2] == [0, 2], "the prompt begins with one BOS and the user token"
        completion = ours[f"r{i}"]
        assert completion.text == output.outputs[0].text
        assert completion.finish_reason == output.outputs[0].finish_reason
        assert (completion.prompt_tokens, completion.completion_tokens) == (
            len(output.prompt_token_ids),
            len(output.outputs[0].token_ids),
        )
    assert {c.finish_reason for c in ours.values()} == {"stop", "length"}


def test_completions_are_yielded_before_the_batch_is_finished(engine):
    pulled = []

    def source():
        for i in range(AHEAD + 200):
            pulled.append(i)
            yield chat_request(f"r{i}", f"fox {i}", max_tokens=1 + i % 3)

    stream = engine.complete(source())
    next(stream)
    assert len(pulled) <= AHEAD, "requests are read only as the engine needs them"
    stream.close()
    assert not engine.llm.llm_engine.has_unfinished_requests(), "an abandoned batch leaves no requests in the engine"


def test_sampling_depends_only_on_the_request(engine):
    requests = [chat_request(f"r{i}", content, temperature=0.8, seed=i) for i, content in enumerate(CONTENTS)]
    together = complete(engine, requests)
    alone = complete(engine, requests[7:8]) | complete(engine, requests[30:31])
    assert {name: together[name].text for name in alone} == {name: c.text for name, c in alone.items()}
    again = complete(engine, [chat_request("r7", CONTENTS[7], temperature=0.8, seed=99)])
    assert again["r7"].text != together["r7"].text


def test_beam_search_renders_prompts_as_vllm_does(engine, chat_model):
    from polypref.requests.engines.transformers import open_engine

    searching = open_engine(chat_checkpoint(chat_model), chat_model, None)
    for content in [*CONTENTS, "\x00\u202e</s><s> \U0001f9ea", ""]:
        messages = [{"role": "user", "content": content}]
        assert searching.render(messages) == engine.render(messages)["prompt_token_ids"]
    searching.close()


def test_choices_constrain_the_completion_and_give_log_probabilities(engine):
    choices = ["A", "B", "TIE"]
    got = complete(engine, [chat_request(f"c{i}", content, choices=choices) for i, content in enumerate(CONTENTS[:10])])
    for completion in got.values():
        assert completion.text in choices
        assert completion.finish_reason == "stop"
        assert sum(map(math.exp, completion.logprobs.values())) == pytest.approx(1, abs=1e-4)
        if completion.text != "TIE":  # greedy decoding takes the likeliest token, and TIE can begin with three
            assert completion.logprobs[completion.text] >= max(completion.logprobs[c] for c in choices if len(c) == 1)
    (ambiguous,) = complete(engine, [chat_request("same", "fox", choices=["Tie", "Two"])]).values()
    assert ambiguous.text in ("Tie", "Two")
    assert ambiguous.logprobs is None


def test_prompts_beyond_the_context_are_errors(engine):
    got = complete(
        engine,
        [
            chat_request("long", "zq" * 400),
            chat_request("tight", "zq" * 110, max_tokens=200),
            chat_request("full", "z" * 260),
            chat_request("fine", "fox"),
        ],
    )
    assert got["long"].permanent
    assert "803 tokens" in got["long"].error
    assert "256" in got["long"].error
    assert got["full"].error
    assert got["tight"].finish_reason in ("stop", "length")
    assert got["tight"].prompt_tokens + got["tight"].completion_tokens <= 256
    assert got["fine"].error is None


def test_requests_that_the_template_or_vllm_rejects_are_errors(engine):
    system = Request("s", [{"role": "system", "content": "x"}], {"max_tokens": 4, "temperature": 0.0})
    bad = chat_request("bad", "fox", temperature=0.5, top_p=2.0)
    got = complete(
        engine,
        [
            system,
            bad,
            chat_request("lone", "\ud800"),
            chat_request("fine", "fox"),
            chat_request("odd", "\x00\u202e</s><s> \U0001f9ea" * 3),
        ],
    )
    assert got["s"].finish_reason == "error"
    assert got["s"].permanent
    assert "no system role" in got["s"].error
    assert "top_p" in got["bad"].error
    assert got["lone"].error
    assert got["fine"].error is None
    assert got["odd"].error is None


def test_stop_strings_end_the_completion(engine):
    free = complete(engine, [chat_request("r", CONTENTS[3])])["r"].text
    stop = free[4:6]
    stopped = complete(engine, [chat_request("r", CONTENTS[3], stop=[stop])])["r"]
    assert stopped.text == free[: free.index(stop)]
    assert stopped.finish_reason == "stop"


def test_errors_at_start_name_the_setting_to_change(chat_model, tmp_path):
    with pytest.raises(EngineError, match=r"nowhere: no such folder.*registry"):
        open_vllm(chat_checkpoint(str(tmp_path / "nowhere")))
    with pytest.raises(EngineError, match=r"cache.*raise runtime\.kv_cache_gb.*max_model_len"):
        open_vllm(chat_checkpoint(chat_model, runtime={"kv_cache_gb": 1e-5}))
    with pytest.raises(EngineError, match=r"runtime\.max_model_len \(now 9999\)"):
        open_vllm(chat_checkpoint(chat_model, runtime={"max_model_len": 9999}))
    with pytest.raises(EngineError, match=r"runtime\.gpus is 1"):
        open_vllm(chat_checkpoint(chat_model, runtime={"gpus": 1}))
    with pytest.raises(EngineError, match=r"strftime_now.*fixed date"):
        open_vllm(chat_checkpoint(chat_model, chat_template="{{ strftime_now('%Y') }}" + CHAT_TEMPLATE))
    bare = save_chat_model(tmp_path / "bare", template=None, positions=4096)
    with pytest.raises(EngineError, match="chat_template"):
        open_vllm(chat_checkpoint(bare))
    engine = open_vllm(chat_checkpoint(bare, chat_template=CHAT_TEMPLATE, runtime={"max_model_len": 2048}))
    try:
        assert engine.context.size == 2048
        (completion,) = engine.complete([chat_request("r", "zq" * 1100)])
        assert completion.error
        assert not completion.permanent, "a larger runtime.max_model_len would be enough"
        (completion,) = engine.complete([chat_request("r", "zq" * 1000, max_tokens=200)])
        assert "truncated" in completion.error and not completion.permanent, (
            "a completion that the context cuts off is an error"
        )
        assert complete(engine, [chat_request("r", "fox")])["r"].error is None
    finally:
        engine.close()


def test_an_engine_without_memory_restarts_with_less_and_then_names_the_setting(chat_model, capfd):
    with pytest.raises(
        EngineError, match=r"Remedy: lower runtime\.kv_cache_gb; the last of 3 starts was with kv_cache_gb"
    ):
        open_vllm(chat_checkpoint(chat_model, runtime={"kv_cache_gb": 1e5}))
    assert capfd.readouterr().out.count("starting again with kv_cache_gb") == 2


def test_pickled_weights_are_rejected(chat_model, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(chat_model, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EngineError, match="safetensors"):
        open_vllm(chat_checkpoint(str(folder)))


def test_a_demo_checkpoint_completes_requests():
    engine = open_vllm(Checkpoint(engine="vllm", path=str(DEMO / "strong")))
    try:
        got = complete(engine, [chat_request("greedy", "hello")])
        assert all(c.error is None for c in got.values())
    finally:
        engine.close()


def test_reasoning_is_switched_off_by_the_template(chat_model):
    template = CHAT_TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    engine = open_vllm(chat_checkpoint(chat_model, chat_template=template))
    try:
        messages = [{"role": "user", "content": "the quick fox"}]
        thoughtful, quiet = (engine.render(messages, thinking)["prompt_token_ids"] for thinking in (True, False))
        assert engine.tokenizer.decode(quiet) == engine.tokenizer.decode(thoughtful) + "<think></think>"
        requests = [chat_request(mode, "the quick fox", reasoning=mode) for mode in ("off", "strip")]
        tokens = {completion.request_id: completion.prompt_tokens for completion in engine.complete(requests)}
        assert tokens == {"off": len(quiet), "strip": len(thoughtful)}
    finally:
        engine.close()
