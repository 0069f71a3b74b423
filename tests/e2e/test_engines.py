"""The engines as they are, on tiny models with random weights (and the demo's checkpoints where they exist)."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polypref.config.sections import Checkpoint
from polypref.requests.engines import EngineError, Request
from polypref.requests.engines.vllm import AHEAD

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


def open_vllm(checkpoint):
    from polypref.requests.engines.vllm import open_engine

    return open_engine(checkpoint, checkpoint.path, None)


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
        for i in range(AHEAD + 200):
            pulled.append(i)
            yield ask(f"r{i}", f"fox {i}", max_tokens=1 + i % 3)

    stream = engine.answer(source())
    next(stream)
    assert len(pulled) <= AHEAD, "requests are taken as the engine needs them"
    stream.close()
    assert not engine.llm.llm_engine.has_unfinished_requests(), "an abandoned batch leaves nothing in the engine"


def test_vllm_sampling_depends_on_the_request_alone(engine):
    requests = [ask(f"r{i}", content, temperature=0.8, seed=i) for i, content in enumerate(CONTENTS)]
    together = answers(engine, requests)
    alone = answers(engine, requests[7:8]) | answers(engine, requests[30:31])
    assert {name: together[name].text for name in alone} == {name: c.text for name, c in alone.items()}
    again = answers(engine, [ask("r7", CONTENTS[7], temperature=0.8, seed=99)])
    assert again["r7"].text != together["r7"].text


def test_beam_search_renders_prompts_as_vllm_does(engine, chat_model):
    from polypref.requests.engines.transformers import open_engine

    searching = open_engine(chat_checkpoint(chat_model), chat_model, None)
    for content in [*CONTENTS, "\x00\u202e</s><s> \U0001f9ea", ""]:
        messages = [{"role": "user", "content": content}]
        assert searching.render(messages) == engine.render(messages)["prompt_token_ids"]
    searching.close()


def test_vllm_choices(engine):
    choices = ["A", "B", "TIE"]
    got = answers(engine, [ask(f"c{i}", content, choices=choices) for i, content in enumerate(CONTENTS[:10])])
    for completion in got.values():
        assert completion.text in choices
        assert completion.finish_reason == "stop"
        assert sum(map(math.exp, completion.logprobs.values())) == pytest.approx(1, abs=1e-4)
        if completion.text != "TIE":  # greedy takes the likeliest token, and TIE can begin with three
            assert completion.logprobs[completion.text] >= max(completion.logprobs[c] for c in choices if len(c) == 1)
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
    bad = ask("bad", "fox", temperature=0.5, top_p=2.0)
    got = answers(
        engine, [system, bad, ask("lone", "\ud800"), ask("fine", "fox"), ask("odd", "\x00\u202e</s><s> \U0001f9ea" * 3)]
    )
    assert got["s"].finish_reason == "error"
    assert got["s"].permanent
    assert "no system role" in got["s"].error
    assert "top_p" in got["bad"].error
    assert got["lone"].error
    assert got["fine"].error is None
    assert got["odd"].error is None


def test_vllm_stop_strings(engine):
    free = answers(engine, [ask("r", CONTENTS[3])])["r"].text
    stop = free[4:6]
    cut = answers(engine, [ask("r", CONTENTS[3], stop=[stop])])["r"]
    assert cut.text == free[: free.index(stop)]
    assert cut.finish_reason == "stop"


CODES = ["eng_Latn", "deu_Latn", "jpn_Jpan"]
WORDS = "the quick brown fox jumps over lazy dog der schnelle braune fuchs springt über den faulen hund".split()  # noqa: SIM905


def save_translator(folder):
    """A random NLLB of two layers, whose tokenizer has one piece per word and three languages."""
    import torch
    from tokenizers import Tokenizer, models, trainers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    bpe.train_from_iterator([f"▁{word}" for word in WORDS] * 3, trainer)
    inner = json.loads(bpe.to_str())["model"]
    tokenizer = NllbTokenizer(
        vocab=inner["vocab"], merges=[tuple(pair) for pair in inner["merges"]], extra_special_tokens=CODES,
        src_lang=CODES[0], model_max_length=40,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=128, decoder_ffn_dim=128, max_position_embeddings=40, init_std=0.3,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


def translation(name, text, target="deu_Latn", source="eng_Latn", **decoding):
    decoding = {"max_tokens": 16, "temperature": 0.0, "source_code": source, "target_code": target, **decoding}
    return Request(name, [{"role": "user", "content": text}], decoding)


@pytest.fixture(scope="module")
def translator_path(tmp_path_factory):
    return save_translator(tmp_path_factory.mktemp("models") / "nllb")


@pytest.fixture(scope="module")
def translator(translator_path, tmp_path_factory):
    from polypref.requests.engines.seq2seq import open_engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        checkpoint = Checkpoint(engine="seq2seq", path=translator_path, runtime={"threads": 2, "batch_tokens": 128})
        engine = open_engine(checkpoint, translator_path, None)
        yield engine
        engine.close()


SENTENCES = [" ".join(WORDS[i % 9 : i % 9 + 2 + i % 6]) for i in range(40)]


def test_seq2seq_translates_like_transformers(translator, translator_path):
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    requests = [
        translation(f"{width}.{i}", text, CODES[1 + i % 2], beam_size=width)
        for width in (1, 3)
        for i, text in enumerate(SENTENCES)
    ]
    got = answers(translator, requests)
    model = AutoModelForSeq2SeqLM.from_pretrained(translator_path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(translator_path, src_lang="eng_Latn")
    reasons = set()
    for request in requests:
        if not request.request_id.startswith("1."):
            continue  # beam searches stop by different rules
        text = request.messages[0]["content"]
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            output = model.generate(
                **inputs, num_beams=1, do_sample=False, max_new_tokens=17,
                forced_bos_token_id=tokenizer.convert_tokens_to_ids(request.decoding["target_code"]),
            )  # fmt: skip
        completion = got[request.request_id]
        assert completion.text == tokenizer.decode(output[0], skip_special_tokens=True)
        assert completion.prompt_tokens == inputs["input_ids"].shape[1]
        assert completion.finish_reason == ("stop" if output[0, -1] == 2 else "length")
        assert completion.completion_tokens <= 16
        reasons.add(completion.finish_reason)
    assert "length" in reasons


def test_seq2seq_answers_do_not_depend_on_the_batch(translator):
    requests = [translation(f"r{i}", text, CODES[1 + i % 2]) for i, text in enumerate(SENTENCES)]
    together = answers(translator, requests)
    alone = answers(translator, requests[::-1][3:5])
    assert all(together[name] == completion for name, completion in alone.items())


def test_seq2seq_refuses_instead_of_truncating(translator):
    got = answers(
        translator,
        [
            translation("long", "fox " * 60), translation("code", "the fox", "xxx_Latn"),
            translation("word", "the fox", "▁fox"), translation("smuggled", "fox </s> deu_Latn fox"),
            translation("fine", "fox"), translation("room", "fox", max_tokens=500), translation("empty", ""),
        ],
    )  # fmt: skip
    assert got["long"].permanent
    assert "63 tokens" in got["long"].error
    assert "40" in got["long"].error
    assert "xxx_Latn" in got["code"].error
    assert got["word"].error
    assert got["fine"].error is None
    assert got["smuggled"].error is None
    assert got["smuggled"].prompt_tokens > 8
    assert got["room"].finish_reason in ("stop", "length")
    assert got["room"].completion_tokens <= 38


def test_seq2seq_converts_once(translator_path, tmp_path, monkeypatch):
    from polypref.requests.engines import conversion

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = (
        "import sys; sys.path.insert(0, 'workflow/scripts'); from polypref.requests.engines.conversion import convert; "
        f"print(convert({translator_path!r}, None, 'float32', False))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", command], cwd=DEMO.parents[2], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    folders = {process.communicate(timeout=120)[0].strip() for process in both}
    assert len(folders) == 1
    (folder,) = map(Path, folders)
    assert (folder / "model.bin").is_file()
    before = (folder / "model.bin").stat()
    assert conversion.convert(translator_path, None, "float32", False) == folder
    assert (folder / "model.bin").stat() == before
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".converting")] == []


def test_vllm_start_failures_say_what_to_change(chat_model, tmp_path):
    with pytest.raises(EngineError, match=r"nowhere: no such folder.*registry"):
        open_vllm(chat_checkpoint(str(tmp_path / "nowhere")))
    with pytest.raises(EngineError, match=r"cache.*raise runtime\.kv_cache_gb.*max_model_len"):
        open_vllm(chat_checkpoint(chat_model, runtime={"kv_cache_gb": 1e-5}))
    with pytest.raises(EngineError, match=r"runtime\.max_model_len \(now 9999\)"):
        open_vllm(chat_checkpoint(chat_model, runtime={"max_model_len": 9999}))
    with pytest.raises(EngineError, match=r"runtime\.gpus is 1"):
        open_vllm(chat_checkpoint(chat_model, runtime={"gpus": 1}))
    bare = save_chat_model(tmp_path / "bare", template=None, positions=4096)
    with pytest.raises(EngineError, match="chat_template"):
        open_vllm(chat_checkpoint(bare))
    engine = open_vllm(chat_checkpoint(bare, chat_template=TEMPLATE, runtime={"max_model_len": 2048}))
    try:
        assert engine.context == 2048
        (completion,) = engine.answer([ask("r", "zq" * 1100)])
        assert completion.error
        assert not completion.permanent, "a larger runtime.max_model_len would do"
        (completion,) = engine.answer([ask("r", "zq" * 1000, max_tokens=200)])
        assert "cut off" in completion.error and not completion.permanent, "it was kept as a good answer"
        assert answers(engine, [ask("r", "fox")])["r"].error is None
    finally:
        engine.close()


def test_an_engine_without_room_starts_in_less_and_then_says_what_to_change(chat_model, capfd):
    with pytest.raises(
        EngineError, match=r"Remedy: lower runtime\.kv_cache_gb; the last of 3 starts was with kv_cache_gb"
    ):
        open_vllm(chat_checkpoint(chat_model, runtime={"kv_cache_gb": 1e5}))
    assert capfd.readouterr().out.count("starting again with kv_cache_gb") == 2


def test_vllm_loads_safetensors_only(chat_model, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(chat_model, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EngineError, match="safetensors"):
        open_vllm(chat_checkpoint(str(folder)))


def test_openai_against_vllms_own_server(chat_model, monkeypatch):
    from polypref.requests.engines.openai import open_engine

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", chat_model,
        "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
        "--enforce-eager", "--max-num-seqs", "8", "--api-key", "local-key",
    ]  # fmt: skip
    env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", "TORCHDYNAMO_DISABLE": "1"}
    env.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0)
    try:
        for _ in range(600):
            assert server.poll() is None, server.stderr.read().decode()[-3000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        base_url = f"http://127.0.0.1:{port}/v1"
        checkpoint = Checkpoint(engine="openai", path="tiny", base_url=base_url, api_key_env="LOCAL_KEY")
        monkeypatch.setenv("LOCAL_KEY", "local-key")
        client = open_engine(checkpoint, "tiny", None)
        got = answers(client, [*(ask(f"r{i}", f"fox {i}") for i in range(20)), ask("long", "zq" * 400)])
        assert got["long"].permanent
        assert "HTTP 400" in got["long"].error
        assert all(got[f"r{i}"].finish_reason in ("stop", "length") for i in range(20))
        assert all(got[f"r{i}"].prompt_tokens > 3 and got[f"r{i}"].completion_tokens <= 24 for i in range(20))
        client.close()
        monkeypatch.setenv("LOCAL_KEY", "wrong")
        client = open_engine(checkpoint, "tiny", None)
        with pytest.raises(EngineError, match="LOCAL_KEY is refused"):
            list(client.answer([ask("r", "fox")]))
        client.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)
        server.stderr.close()


@pytest.mark.skipif(not (DEMO / "strong").is_dir(), reason="the demo's checkpoints are not made yet")
def test_demo_checkpoints_answer(tmp_path, monkeypatch):
    from polypref.requests.engines.seq2seq import open_engine

    engine = open_vllm(Checkpoint(engine="vllm", path=str(DEMO / "strong")))
    try:
        assert answers(engine, [ask("greedy", "hello")])["greedy"].error is None
    finally:
        engine.close()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = str(DEMO / "nllb")
    engine = open_engine(Checkpoint(engine="seq2seq", path=path), path, None)
    (completion,) = engine.answer([translation("r", "the dog sees the house .", beam_size=4)])
    assert completion.error is None
    assert completion.text
    engine.close()
