"""The beam-search engine gives the same results as ``generate``, also with little memory or context."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from random_models import CHAT_TEMPLATE, END, chat_request, complete, save_chat_model

from polypref.config import searches
from polypref.config.sections import Checkpoint
from polypref.requests.engines import EngineError, Request, beam_engine
from polypref.requests.engines.decoders import Context
from polypref.requests.engines.transformers import has_more_than_keys, open_engine

DEMO = Path(__file__).parents[3] / "resources/demo"
CONTENTS = [f"the fox {i} " * (1 + i % 7) for i in range(60)]


def start(path, chat_template=None, dtype="float32", **runtime):
    runtime = {"kv_cache_gb": 0.05, "max_num_seqs": 40, **runtime}
    entry = Checkpoint(engine="vllm", path=path, dtype=dtype, chat_template=chat_template, runtime=runtime)
    return open_engine(entry, path, None)


def ask(name, content, **decoding):
    return chat_request(name, content, **{"beam_size": 5, **decoding})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_chat_model(tmp_path_factory.mktemp("models") / "llama", heads=4)


@pytest.fixture(scope="module")
def engine(path):
    engine = start(path)
    yield engine
    engine.close()


def generated(model, prompt, width, max_tokens, end):
    """Return the tokens of ``generate``'s best beam, including the end token."""
    import torch

    with torch.no_grad():
        output = model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), num_beams=width,
            max_new_tokens=max_tokens, do_sample=False, early_stopping=False, length_penalty=1.0, pad_token_id=end,
        )  # fmt: skip
    tokens = output[0, len(prompt) :].tolist()
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def compare(engine, requests, end):
    """Check that every answer of the engine equals that of ``generate``; return the finish reasons."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(engine.model.name_or_path, dtype="float32")
    found, reasons = complete(engine, requests), set()
    for request in requests:
        decoding = request.decoding
        prompt = engine.render(request.messages)
        tokens = generated(model, prompt, decoding["beam_size"], decoding["max_tokens"], end)
        got, ended = found[request.request_id], tokens[-1] == end
        assert got.text == engine.tokenizer.decode(tokens, skip_special_tokens=True), request
        assert (got.prompt_tokens, got.completion_tokens) == (len(prompt), len(tokens))
        assert got.finish_reason == ("stop" if ended else "length")
        reasons.add(got.finish_reason)
    return reasons


@pytest.mark.parametrize("bounds", [beam_engine.BOUNDS, (3, 9, 2**31)], ids=["together", "put aside"])
def test_the_best_beam_is_the_same_as_with_generate(engine, monkeypatch, bounds):
    monkeypatch.setattr(beam_engine, "BOUNDS", bounds)
    requests = [ask(f"{i}", text, beam_size=3 + 2 * (i % 2), max_tokens=8 + i % 17) for i, text in enumerate(CONTENTS)]
    assert compare(engine, requests, END) == {"stop", "length"}


@pytest.mark.skipif(not (DEMO / "models/strong").is_dir(), reason="the demo's checkpoints are not made yet")
def test_the_best_beam_of_the_miniatures_model_is_the_same_as_with_generate():
    lines = (DEMO / "wmt24pp/en-de_DE.jsonl").read_text(encoding="utf-8").splitlines()
    import json

    engine = start(str(DEMO / "models/strong"))
    prompt = "Translate this from English to German:\nEnglish: {}\nGerman:"
    requests = [ask(str(n), prompt.format(json.loads(line)["source"])) for n, line in enumerate(lines[:40])]
    assert "stop" in compare(engine, requests, engine.model.generation_config.eos_token_id)
    engine.close()


def test_answers_do_not_depend_on_the_batch(engine):
    requests = [ask(f"{i}", text) for i, text in enumerate(CONTENTS)]
    together = complete(engine, requests)
    alone = complete(engine, requests[::-1][7:9])
    assert all(together[name].text == completion.text for name, completion in alone.items())


def test_long_searches_do_not_delay_short_ones(engine, monkeypatch):
    """With 5 to 400 tokens in one batch, the work is proportional to the tokens, and short outputs come first."""
    passes = []
    forward = beam_engine.BeamSearchEngine._forward

    def counted(self, ids, *rest):
        passes.append(ids.shape)
        return forward(self, ids, *rest)

    monkeypatch.setattr(beam_engine.BeamSearchEngine, "_forward", counted)
    monkeypatch.setattr(engine, "ends", frozenset())  # nothing ends before max_tokens
    monkeypatch.setattr(engine, "context", Context(1024, 1024))
    lengths = [400 if i % 20 == 7 else 5 + i % 36 for i in range(120)]
    requests = [ask(f"{i}", f"fox {i}", max_tokens=length) for i, length in enumerate(lengths)]
    order = [completion.completion_tokens for completion in engine.complete(requests)]
    assert order[-6:] == [400] * 6, "the long ones come last"
    steps = [rows for rows, tokens in passes if tokens == 1]
    assert sum(steps) == 5 * sum(length - 1 - (length > 128) for length in lengths), "no search waits for another"
    # 40 beams are eight searches at a time; of batches of eight that wait for their longest, six would run 400 steps
    assert len(steps) < 1.2 * sum(lengths) / 8 + 400


def test_less_memory_gives_smaller_batches_and_the_same_complete(engine, monkeypatch, capsys):
    import torch

    requests = [ask(f"{i}", text) for i, text in enumerate(CONTENTS)]
    expected = complete(engine, requests)
    forward = beam_engine.BeamSearchEngine._forward
    room, rows = engine.room, engine.rows

    def small(self, ids, *rest):
        if ids.shape[1] == 1 and ids.shape[0] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, ids, *rest)

    monkeypatch.setattr(beam_engine.BeamSearchEngine, "_forward", small)
    found = complete(engine, requests)
    assert {name: c.text for name, c in found.items()} == {name: c.text for name, c in expected.items()}
    assert "half as many beams, 20" in capsys.readouterr().out
    monkeypatch.setattr(engine, "rows", rows)
    monkeypatch.setattr(engine, "room", room)


def test_the_error_gives_a_remedy_if_memory_runs_out(engine, monkeypatch):
    def fails(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(beam_engine.BeamSearchEngine, "_forward", fails)
    for name in ("room", "rows"):
        monkeypatch.setattr(engine, name, getattr(engine, name))
    with pytest.raises(EngineError, match=r"lower runtime\.memory_fraction \(on a CPU: kv_cache_gb\)"):
        list(engine.complete([ask("r", "fox")]))


def test_context_limit_stop_strings_and_errors(engine):
    system = Request("system", [{"role": "system", "content": "x"}], {"max_tokens": 4, "beam_size": 3})
    odd = [ask("long", "zq" * 400), ask("lone", "\ud800"), ask("tight", "zq" * 110, max_tokens=200)]
    got = complete(engine, [system, *odd, ask("fine", "fox"), ask("one", "fox", max_tokens=1)])
    assert got["long"].permanent and "803 tokens" in got["long"].error and "256" in got["long"].error
    assert got["tight"].error is None and got["tight"].prompt_tokens + got["tight"].completion_tokens <= 256
    assert "no system role" in got["system"].error and got["lone"].error
    assert got["fine"].error is None and got["one"].completion_tokens == 1
    free = got["fine"].text
    cut = complete(engine, [ask("cut", "fox", stop=[free[2:4]])])["cut"]
    assert (cut.text, cut.finish_reason) == (free[: free.index(free[2:4])], "stop")


def test_exceeding_max_model_len_is_a_temporary_error(path):
    engine = start(path, max_model_len=64)
    got = complete(engine, [ask("long", "zq" * 100), ask("cut", "zq" * 25, max_tokens=200)])
    assert not got["long"].permanent and "runtime.max_model_len" in got["long"].error
    cut = got["cut"]
    assert cut.finish_reason == "stop" or ("cut off" in cut.error and not cut.permanent)


def test_an_engine_that_cannot_start_gives_a_remedy(path, tmp_path):
    with pytest.raises(EngineError, match=r"nowhere: no such folder.*registry"):
        start(str(tmp_path / "nowhere"))
    with pytest.raises(EngineError, match=r"runtime\.gpus is 1"):
        start(path, gpus=1)
    with pytest.raises(EngineError, match="chat_template"):
        start(save_chat_model(tmp_path / "bare", template=None))
    start(str(tmp_path / "bare"), chat_template="{{ messages[0]['content'] }}").close()
    with pytest.raises(EngineError, match=r"decoder that transformers knows"):
        start(str(DEMO / "models/nllb"))


def test_reasoning_is_switched_off_by_the_template(path):
    template = CHAT_TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    engine = start(path, chat_template=template)
    requests = [ask(mode, "fox", reasoning=mode) for mode in ("off", "strip")]
    found = complete(engine, requests)
    quiet, thoughtful = (engine.render(requests[0].messages, thinking) for thinking in (False, True))
    assert engine.tokenizer.decode(quiet) == engine.tokenizer.decode(thoughtful) + "<think></think>"
    assert (found["off"].prompt_tokens, found["strip"].prompt_tokens) == (len(quiet), len(thoughtful))


def test_a_template_that_writes_the_date_is_an_error(path):
    with pytest.raises(EngineError, match=r"strftime_now.*fixed date"):
        start(path, chat_template="{{ strftime_now('%Y') }}" + CHAT_TEMPLATE)


def test_every_type_with_another_cache_is_known_to_the_configuration():
    """The configuration is checked without importing transformers, so it has a list of its own."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    missing = []
    for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items():
        if kind.startswith("musicgen"):  # not a text model, and its configuration has no defaults
            continue
        config = transformers.CONFIG_MAPPING[kind]()
        model = SimpleNamespace(_is_stateful=getattr(transformers, name)._is_stateful, config=config)
        try:
            other = has_more_than_keys(model)
        except AttributeError:  # no layers of a plain decoder, so the engine stops, too
            other = True
        if other and not searches.has_more_than_keys({"model_type": kind}):
            missing.append(kind)
    assert not missing
