"""The seq2seq engine (CTranslate2) on a tiny NLLB with random weights, compared with transformers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from random_models import CODES, WORDS, complete, save_translator, translation_request

from polypref.config.sections import Checkpoint

ROOT = Path(__file__).parents[2]
os.environ["HF_HUB_OFFLINE"] = "1"
SENTENCES = [" ".join(WORDS[i % 9 : i % 9 + 2 + i % 6]) for i in range(40)]


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


def test_greedy_translations_equal_those_of_transformers(translator, translator_path):
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    requests = [
        translation_request(f"{width}.{i}", text, CODES[1 + i % 2], beam_size=width)
        for width in (1, 3)
        for i, text in enumerate(SENTENCES)
    ]
    got = complete(translator, requests)
    model = AutoModelForSeq2SeqLM.from_pretrained(translator_path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(translator_path, src_lang="eng_Latn")
    reasons = set()
    for request in requests:
        if not request.request_id.startswith("1."):
            continue  # the two beam searches have different stopping rules
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


def test_completions_do_not_depend_on_the_batch(translator):
    requests = [translation_request(f"r{i}", text, CODES[1 + i % 2]) for i, text in enumerate(SENTENCES)]
    together = complete(translator, requests)
    alone = complete(translator, requests[::-1][3:5])
    assert all(together[name] == completion for name, completion in alone.items())


def test_texts_that_do_not_fit_are_errors_and_not_truncated(translator):
    got = complete(
        translator,
        [
            translation_request("long", "fox " * 60), translation_request("code", "the fox", "xxx_Latn"),
            translation_request("word", "the fox", "▁fox"), translation_request("smuggled", "fox </s> deu_Latn fox"),
            translation_request("fine", "fox"), translation_request("room", "fox", max_tokens=500),
            translation_request("empty", ""),
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


def test_two_processes_convert_a_checkpoint_once(translator_path, tmp_path, monkeypatch):
    from polypref.requests.engines import conversion

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = (
        "import sys; sys.path.insert(0, 'workflow/scripts'); from polypref.requests.engines.conversion import convert; "
        f"print(convert({translator_path!r}, None, 'float32', False))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    folders = {process.communicate(timeout=120)[0].strip() for process in both}
    assert len(folders) == 1
    (folder,) = map(Path, folders)
    assert (folder / "model.bin").is_file()
    before = (folder / "model.bin").stat()
    assert conversion.convert(translator_path, None, "float32", False) == folder
    assert (folder / "model.bin").stat() == before
    assert not list(folder.parent.glob(".converting*"))


def test_the_demo_checkpoint_completes_requests(tmp_path, monkeypatch):
    from polypref.requests.engines.seq2seq import open_engine

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = str(ROOT / "resources/demo/models/nllb")
    engine = open_engine(Checkpoint(engine="seq2seq", path=path), path, None)
    (completion,) = engine.complete([translation_request("r", "the dog sees the house .", beam_size=4)])
    assert completion.error is None
    assert completion.text
    engine.close()
