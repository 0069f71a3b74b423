"""Uses of models that their engines do not support are errors at loading."""

import json
from pathlib import Path

import pytest
from config_errors import error_of

from polypref.config.loading import ConfigError, load_config
from polypref.config.searches import read_config

ROOT = Path(__file__).parents[2]


API = {"engine": "openai", "path": "m"}
NLLB = {"checkpoint": "nllb", "prompt": "text", "split": "sentences"}
MISUSES = {
    "an API is trained": (
        {"training": {"base": "api"}},
        "training.base: found 'api'; allowed: a checkpoint of engine vllm",
    ),
    "a translator judges": (
        {"judging": {"judge": "nllb"}},
        "judging.judge: found 'nllb'; allowed: a checkpoint of engine vllm or openai",
    ),
    "a translator is judged": ({"evaluation": {"opponents": ["nllb"]}}, "evaluation.opponents: found 'nllb'"),
    "a translator answers": (
        {"architectures": {"B": {"prompt": "english", "chosen": {"generate": "nllb"}, "rejected": "english"}}},
        "architectures.B.chosen: found 'nllb'; allowed: a model that generates",
    ),
    "a generator without English": (
        {
            "models": {
                "part": {"checkpoint": dict.fromkeys(("ar", "zh", "de", "is", "ja", "nl", "ru", "es"), "strong")}
            },
            "architectures": {"B": {"prompt": "english", "chosen": {"generate": "part"}, "rejected": "english"}},
        },
        "architectures.B.chosen: found 'part for en'",
    ),
    "sampled beams": (
        {
            "models": {
                "strong": {"checkpoint": "strong", "prompt": "x-alma", "decoding": {"beam_size": 3, "temperature": 0.6}}
            }
        },
        "models.strong.decoding.temperature: found 0.6; allowed: 0",
    ),
    "a sampled NLLB": ({"models": {"nllb": {**NLLB, "decoding": {"temperature": 0.6}}}}, "models.nllb.decoding.temp"),
    "an instructed NLLB": (
        {"models": {"nllb": {**NLLB, "prompt": "instruct"}}},
        "models.nllb.prompt: found 'instruct'",
    ),
    "beams of an API": (
        {"models": {"api": {"checkpoint": "api", "decoding": {"beam_size": 5}}}},
        "models.api.decoding.beam_size: found 5",
    ),
    "beams over two GPUs": (
        {
            "checkpoints": {"big": {"engine": "vllm", "path": "o/n", "runtime": {"gpus": 2, "tensor_parallel": 2}}},
            "models": {"big": {"checkpoint": "big", "decoding": {"beam_size": 5}}},
        },
        "checkpoints.big.runtime.tensor_parallel: found 2; allowed: 1: models.big uses beam search",
    ),
    "beams of an encoder-decoder that is said to be a decoder": (
        {
            "checkpoints": {"wrong": {"engine": "vllm", "path": "resources/demo/models/nllb"}},
            "models": {"wrong": {"checkpoint": "wrong", "decoding": {"beam_size": 5}}},
        },
        "checkpoints.wrong.engine: found 'vllm'; allowed: seq2seq",
    ),
    "a judge with beams": (
        {"judging": {"decoding": {"beam_size": 5, "max_tokens": 4}}},
        "judging.decoding.beam_size: found 5",
    ),
    "a limit without a price": (
        {"checkpoints": {"api": {**API, "max_cost_usd": 5}}},
        "checkpoints.api.price: found None",
    ),
    "one GPU for two": (
        {"checkpoints": {"big": {"engine": "vllm", "path": "o/n", "runtime": {"gpus": 1, "tensor_parallel": 2}}}},
        "checkpoints.big.runtime.tensor_parallel: found 2; allowed: at most runtime.gpus, 1",
    ),
    "an uneven batch": ({"training": {"batch_size": 100}}, "training.batch_size 100 cannot be split evenly"),
    "a judge whose prompt has no placeholder": (
        {"judging": {"prompt": "LICENSE"}},
        "judging.prompt: found no placeholder",
    ),
}


@pytest.mark.parametrize("change", MISUSES)
def test_unsupported_uses_are_reported_at_loading(demo, change):
    sections, expected = MISUSES[change]
    demo["checkpoints"] = {"api": API}
    load_config(demo, ROOT)
    for name, section in sections.items():
        demo.setdefault(name, {}).update(section)
    text = error_of(demo)
    assert expected in text and len(text.splitlines()) == 2, text


def test_a_model_with_a_recurrent_state_is_not_searched(demo, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    demo["checkpoints"] = {"recurrent": {"engine": "vllm", "path": str(tmp_path)}}
    demo["models"] = {"recurrent": {"checkpoint": "recurrent", "decoding": {}}}
    load_config(demo, ROOT)
    demo["models"]["recurrent"]["decoding"] = {"beam_size": 5}
    with pytest.raises(ConfigError, match=r"not 'mamba': models\.recurrent uses beam search.*Leave beam_size out"):
        load_config(demo, ROOT)


@pytest.mark.parametrize(
    "content",
    [
        {"model_type": "qwen3_next"},
        {"model_type": "new", "layer_types": ["full_attention", "conv"]},
        {"model_type": "gemma9", "text_config": {"layer_types": ["linear_attention"]}},
    ],
)
def test_a_model_in_the_hub_cache_is_checked_before_a_search(demo, tmp_path, monkeypatch, content):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--o--hybrid/snapshots/abc").mkdir(parents=True)
    file = tmp_path / "models--o--hybrid/snapshots/abc/config.json"
    file.write_text(json.dumps(content))
    demo["checkpoints"] = {"hybrid": {"engine": "vllm", "path": "o/hybrid", "revision": "abc"}}
    demo["models"] = {"hybrid": {"checkpoint": "hybrid", "decoding": {"beam_size": 5}}}
    with pytest.raises(ConfigError, match=r"checkpoints\.hybrid\.path: found 'o/hybrid'.*models\.hybrid uses beam"):
        load_config(demo, ROOT)
    file.write_text(json.dumps({"model_type": "llama", "layer_types": ["full_attention", "sliding_attention"]}))
    load_config(demo, ROOT)


def test_the_config_of_a_branch_is_found_in_the_hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, text in (("refs/main", "abc\n"), ("snapshots/abc/config.json", '{"model_type": "llama"}')):
        file = tmp_path / "models--o--plain" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    assert read_config(tmp_path / "none", "o/plain", None) == {"model_type": "llama"}
    assert read_config(tmp_path / "none", "o/plain", "def") is None
    assert read_config(tmp_path / "none", "o/other", None) is None
