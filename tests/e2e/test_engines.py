"""The engines as they are, on tiny models with random weights (and the demo's checkpoints where they exist)."""

import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from polypref.config import Checkpoint
from polypref.engines import EngineError, Request

pytestmark = pytest.mark.e2e
os.environ["HF_HUB_OFFLINE"] = "1"

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('no system role') }}{% endif %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DEMO = Path(__file__).parents[2] / "resources/demo/models"


def save_chat_model(folder, template=TEMPLATE, positions=256):
    """A random Llama of two layers whose answers end after some tokens, with a byte-level BPE of 400 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(["the quick brown fox jumps over the lazy dog"] * 10, trainer)
    # Adds a BOS of its own, as Llama's does: a second one beside the template's would show.
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    if template:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=positions, bos_token_id=0, eos_token_id=1, initializer_range=0.2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # an end token that is likely enough to end answers
        model.lm_head.weight[1] *= 1.6
    model.save_pretrained(folder)
    return str(folder)


def chat_checkpoint(path, **changes):
    runtime = {"max_num_seqs": 16, "kv_cache_gb": 0.25, "threads": 2, **changes.pop("runtime", {})}
    return Checkpoint(engine="vllm", path=path, dtype="float32", runtime=runtime, **changes)


def ask(name, content, **decoding):
    messages = [{"role": "user", "content": content}]
    return Request(name, messages, {"max_tokens": 24, "temperature": 0.0, **decoding})


def open_vllm(checkpoint, longest=0):
    from polypref.engines.vllm import open_engine

    return open_engine(checkpoint, checkpoint.path, None, longest)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory):
    return save_chat_model(tmp_path_factory.mktemp("models") / "chat")


@pytest.fixture(scope="module")
def engine(chat_model):
    engine = open_vllm(chat_checkpoint(chat_model))
    yield engine
    engine.close()


def answers(engine, requests):
    completions = list(engine.answer(requests))
    assert sorted(c.request_id for c in completions) == sorted(r.request_id for r in requests)
    return {c.request_id: c for c in completions}


CONTENTS = [f"the fox {i} " * (1 + i % 5) for i in range(40)]


def test_vllm_renders_and_answers_like_llm_chat(engine):
    from vllm import SamplingParams

    chats = [[{"role": "user", "content": content}] for content in CONTENTS]
    bare = engine.llm.chat(chats, SamplingParams(max_tokens=24, temperature=0), use_tqdm=False)
    ours = answers(engine, [ask(f"r{i}", content) for i, content in enumerate(CONTENTS)])
    for i, output in enumerate(bare):
        rendered = engine.render(chats[i])["prompt_token_ids"]
        assert rendered == output.prompt_token_ids
        assert rendered[:2] == [0, 2], "one BOS, then the user token"
        completion = ours[f"r{i}"]
        assert completion.text == output.outputs[0].text
        assert completion.finish_reason == output.outputs[0].finish_reason
        assert (completion.prompt_tokens, completion.completion_tokens) == (
            len(output.prompt_token_ids),
            len(output.outputs[0].token_ids),
        )
    assert {c.finish_reason for c in ours.values()} == {"stop", "length"}


def test_vllm_yields_before_the_batch_is_done(engine):
    pulled = []

    def source():
        for i in range(200):
            pulled.append(i)
            yield ask(f"r{i}", f"fox {i}", max_tokens=1 + i % 3)

    stream = engine.answer(source())
    next(stream)
    assert len(pulled) < 100, "requests are taken as the engine needs them"
    stream.close()
    assert not engine.llm.llm_engine.has_unfinished_requests(), "an abandoned batch leaves nothing in the engine"


def test_vllm_sampling_depends_on_the_request_alone(engine):
    requests = [ask(f"r{i}", content, temperature=0.8, seed=i) for i, content in enumerate(CONTENTS)]
    together = answers(engine, requests)
    alone = answers(engine, requests[7:8]) | answers(engine, requests[30:31])
    assert {name: together[name].text for name in alone} == {name: c.text for name, c in alone.items()}
    again = answers(engine, [ask("r7", CONTENTS[7], temperature=0.8, seed=99)])
    assert again["r7"].text != together["r7"].text


def test_vllm_beam_search_is_hugging_faces(engine, chat_model):
    import torch
    from transformers import AutoModelForCausalLM

    requests = [ask(f"b{i}", content, beam_size=3) for i, content in enumerate(CONTENTS[:12])]
    mixed = answers(engine, [*requests, ask("plain", "the fox")])
    model = AutoModelForCausalLM.from_pretrained(chat_model, dtype=torch.float32)
    reasons = set()
    for request in requests:
        prompt = engine.render(request.messages)["prompt_token_ids"]
        with torch.no_grad():
            output = model.generate(
                torch.tensor([prompt]), num_beams=3, max_new_tokens=24, do_sample=False, early_stopping=False,
                length_penalty=1.0, pad_token_id=1,
            )  # fmt: skip
        expected = output[0, len(prompt) :].tolist()
        ended = 1 in expected
        expected = expected[: expected.index(1)] if ended else expected
        completion = mixed[request.request_id]
        assert completion.text == engine.tokenizer.decode(expected, skip_special_tokens=True)
        assert completion.finish_reason == ("stop" if ended else "length")
        assert completion.completion_tokens == len(expected) + ended
        reasons.add(completion.finish_reason)
    assert "stop" in reasons


def test_vllm_choices(engine):
    choices = ["A", "B", "TIE"]
    got = answers(engine, [ask(f"c{i}", content, choices=choices) for i, content in enumerate(CONTENTS[:10])])
    for completion in got.values():
        assert completion.text in choices
        assert completion.finish_reason == "stop"
        assert sum(map(math.exp, completion.logprobs.values())) == pytest.approx(1, abs=1e-4)
        if completion.text != "TIE":  # greedy takes the likeliest token, and TIE can begin with three
            assert completion.logprobs[completion.text] >= max(
                completion.logprobs[c] for c in choices if len(c) == 1
            )
    (ambiguous,) = answers(engine, [ask("same", "fox", choices=["Tie", "Two"])]).values()
    assert ambiguous.text in ("Tie", "Two")
    assert ambiguous.logprobs is None


def test_vllm_context_limits(engine):
    got = answers(
        engine,
        [ask("long", "zq" * 400), ask("tight", "zq" * 110, max_tokens=200), ask("full", "z" * 260), ask("fine", "fox")],
    )
    assert got["long"].permanent
    assert "803 tokens" in got["long"].error
    assert "256" in got["long"].error
    assert got["full"].error
    assert got["tight"].finish_reason in ("stop", "length")
    assert got["tight"].prompt_tokens + got["tight"].completion_tokens <= 256
    assert got["fine"].error is None


def test_vllm_refuses_what_the_template_refuses(engine):
    system = Request("s", [{"role": "system", "content": "x"}], {"max_tokens": 4, "temperature": 0.0})
    got = answers(engine, [system, ask("fine", "fox"), ask("odd", "\x00\u202e</s><s> \U0001f9ea" * 3)])
    assert got["s"].finish_reason == "error"
    assert got["s"].permanent
    assert "no system role" in got["s"].error
    assert got["fine"].error is None
    assert got["odd"].error is None


def test_vllm_stop_strings(engine):
    free = answers(engine, [ask("r", CONTENTS[3])])["r"].text
    stop = free[4:6]
    cut = answers(engine, [ask("r", CONTENTS[3], stop=[stop])])["r"]
    assert cut.text == free[: free.index(stop)]
    assert cut.finish_reason == "stop"
