"""Checks of the GPU configurations that need no GPU: architectures, templates, memory and flags.

Tests can't access the Hub, so this file contains the fields of each ``config.json`` from which memory is computed and
engines select the model class. The chat templates have the form of each model family.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.config.training import Training
from polypref.plan.plan import Plan
from polypref.preflight.card_sizes import FITS, card_rows
from polypref.preflight.estimating import longest_requests
from polypref.preflight.gpus import check_gpus
from polypref.training import trainer

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = ("single_gpu", "config")


def shape(kind: str, layers: int, width: int, heads: int, kv_heads: int, context: int, **more) -> dict:
    return {
        "model_type": kind, "num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "max_position_embeddings": context, **more,
    }  # fmt: skip


X_ALMA = shape("llama", 40, 5120, 40, 40, 4096)
MODELS = {
    "Qwen/Qwen2.5-0.5B-Instruct": shape("qwen2", 24, 896, 14, 2, 32768),
    "Qwen/Qwen2.5-1.5B-Instruct": shape("qwen2", 28, 1536, 12, 2, 32768),
    "Qwen/Qwen2.5-7B-Instruct": shape("qwen2", 28, 3584, 28, 4, 32768),
    "Qwen/Qwen2.5-14B-Instruct": shape("qwen2", 48, 5120, 40, 8, 32768),
    "Qwen/Qwen2.5-14B-Instruct-AWQ": shape("qwen2", 48, 5120, 40, 8, 32768, quantization="awq"),
    "Qwen/Qwen2.5-32B-Instruct": shape("qwen2", 64, 5120, 40, 8, 32768),
    "ibm-granite/granite-3.1-2b-instruct": shape("granite", 40, 2048, 32, 8, 131072),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": shape("llama", 24, 2048, 32, 32, 8192),
    "microsoft/Phi-3.5-mini-instruct": shape("phi3", 32, 3072, 32, 32, 131072),
    "CohereLabs/aya-23-8B": shape("cohere", 32, 4096, 32, 8, 8192),
    "CohereLabs/c4ai-command-r-v01": shape("cohere", 40, 8192, 64, 64, 8192),
    "google/gemma-1.1-7b-it": shape("gemma", 28, 3072, 16, 16, 8192, head_dim=256),
    "google/gemma-3-12b-it": {"model_type": "gemma3", "text_config": shape("gemma3_text", 48, 3840, 16, 8, 131072)},
    "meta-llama/Meta-Llama-3-8B-Instruct": shape("llama", 32, 4096, 32, 8, 8192),
    "mistralai/Mistral-7B-Instruct-v0.3": shape("mistral", 32, 4096, 32, 8, 32768),
    "Unbabel/TowerInstruct-13B-v0.1": shape("llama", 40, 5120, 40, 40, 4096),
    **{f"haoranxu/X-ALMA-13B-Group{number}": X_ALMA for number in (1, 2, 3, 6, 8)},
    "facebook/nllb-200-3.3B": {
        "model_type": "m2m_100", "d_model": 2048, "decoder_layers": 24, "decoder_attention_heads": 16,
        "max_position_embeddings": 1024,
    },
}  # fmt: skip

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES = {
    "qwen2": CHATML,
    "granite": (
        "{% for m in messages %}{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + "
        "'<|end_of_text|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
    ),
    "llama": (
        "{% for m in messages %}{% set c = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + "
        "m['content'] | trim + '<|eot_id|>' %}{% if loop.first %}{% set c = bos_token + c %}{% endif %}{{ c }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "phi3": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "cohere": (
        "{{ bos_token }}{% for m in messages %}{{ '<|START_OF_TURN_TOKEN|>' + ('<|USER_TOKEN|>' if m['role'] == 'user' "
        "else '<|CHATBOT_TOKEN|>') + m['content'] | trim + '<|END_OF_TURN_TOKEN|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"
    ),
    "gemma": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}{{ '<start_of_turn>' + ('model' if m['role'] == "
        "'assistant' else m['role']) + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + '[/INST]' }}"
        "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}{% else %}"
        "{{ raise_exception('Only user and assistant roles are supported') }}{% endif %}{% endfor %}"
    ),
}
"""In the shape of each family's own template: its turns, what it refuses, and what it adds for an answer."""


def plan_of(name: str) -> Plan:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def checkpoints_of(name: str) -> dict:
    found = plan_of(name).config.checkpoints
    return {key: entry for key, entry in found.items() if entry.engine != "openai"}


def read(path: str, revision: str | None) -> dict:
    return MODELS[path]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_architecture_is_known_to_the_pinned_engines(name):
    from ctranslate2.converters.transformers import _MODEL_LOADERS
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as NAMES
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
    from vllm.model_executor.models.registry import ModelRegistry

    known = ModelRegistry.get_supported_archs()
    for entry in checkpoints_of(name).values():
        content = MODELS[entry.path]
        kind = content["model_type"]
        if entry.engine == "vllm":
            assert NAMES[kind] in known, entry.path
        else:
            assert type(CONFIG_MAPPING[kind]()).__name__ in _MODEL_LOADERS, entry.path
        assert content.get("quantization", "awq") in QUANTIZATION_METHODS


@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_conversations_are_rendered_by_each_familys_template(family):
    from transformers.utils.chat_template_utils import render_jinja_template

    def render(messages: list[dict], **options) -> str:
        special = {"bos_token": "<s>", "eos_token": "</s>"}
        (text,), _ = render_jinja_template([messages], chat_template=TEMPLATES[family], **special, **options)
        return text

    asked = [{"role": "user", "content": "Übersetze {this}."}]
    prompt = render(asked, add_generation_prompt=True)
    whole = render([*asked, {"role": "assistant", "content": "Antwort"}], add_generation_prompt=False)
    assert "Übersetze {this}." in prompt
    # DPO masks the prompt, so the conversation must begin with the prompt as it is sent to generate an answer.
    assert whole.startswith(prompt.rstrip("\n")) and "Antwort" in whole[len(prompt) - 1 :]


def test_every_family_has_a_template_here():
    kinds = {MODELS[entry.path]["model_type"] for name in CONFIGURATIONS for entry in checkpoints_of(name).values()}
    assert kinds - {"m2m_100", "gemma3"} == set(TEMPLATES), "gemma3 uses gemma's template; m2m_100 has no template"


@pytest.mark.parametrize(("name", "gpus", "size"), [("single_gpu", 1, 24.0), ("config", 8, 80.0)])
def test_every_batch_and_the_training_fit_the_configured_gpus(name, gpus, size):
    plan = plan_of(name)
    longest = longest_requests(plan, Path("no-results"))
    assert (plan.config.runtime.gpus, plan.config.runtime.gpu_memory_gb) == (gpus, size)
    found = list(check_gpus(plan, [size] * gpus, True, longest, read))
    assert [finding.what for finding in found if finding.level in ("error", "unchecked")] == []
    rows = card_rows(plan, longest, read)
    assert {row["what"] for row in rows if row[size] not in (FITS, "tight")} == set()
    assert rows[-1][size] == FITS, "the training"


PARSED = """
import argparse, json, runpy, sys
whole = argparse.ArgumentParser.parse_args
def parse(self, *given):
    print(json.dumps(vars(whole(self, *given)), default=str))
    raise SystemExit(0)
argparse.ArgumentParser.parse_args = parse
import openrlhf_launcher
openrlhf_launcher.supply_flash_attn()
for flags in json.loads(sys.argv[1]):
    sys.argv = ["train_dpo", *flags]
    try:
        runpy.run_module("openrlhf.cli.train_dpo", run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, flags
"""


@pytest.mark.e2e  # seconds of computing
def test_the_trainers_own_parser_accepts_its_command():
    trainings: list[Training] = [plan_of(name).config.training for name in CONFIGURATIONS]
    sent = []
    for training in trainings:
        arguments = trainer.command(
            training, model="/m", data="data.parquet", output="out", checkpoints="c", chat_template="{{ x }}"
        )
        sent.append(arguments[arguments.index("openrlhf.cli.train_dpo") + 1 :])
    command = [sys.executable, "-c", PARSED, json.dumps(sent)]
    done = subprocess.run(command, cwd=trainer.LAUNCHER.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for training, parsed in zip(trainings, lines, strict=True):
        assert parsed["train.batch_size"] == training.batch_size and parsed["adam.lr"] == training.learning_rate
        assert parsed["ds.zero_stage"] == training.zero_stage and parsed["ds.adam_offload"] == training.adam_offload
        assert parsed["ds.attn_implementation"] == "sdpa" and not parsed["ds.packing_samples"]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_vllm_accepts_every_setting_for_a_gpu(name, monkeypatch, tmp_path):
    from vllm import platforms
    from vllm.engine.arg_utils import EngineArgs

    from polypref.requests.engines import EngineError
    from polypref.requests.engines.vllm import open_engine

    given = []

    def take(self, **settings):
        given.append(settings)
        raise RuntimeError("enough")

    monkeypatch.setattr(EngineArgs, "__init__", take)
    monkeypatch.setattr(type(platforms.current_platform), "is_cpu", lambda self: False)
    entries = [entry for entry in checkpoints_of(name).values() if entry.engine == "vllm"]
    for entry in entries:
        with pytest.raises(EngineError, match="enough"):
            open_engine(entry, str(tmp_path), None)
    monkeypatch.undo()
    assert len(given) == len(entries)
    for entry, settings in zip(entries, given, strict=True):
        made = EngineArgs(**settings)
        assert made.tensor_parallel_size == entry.runtime.tensor_parallel and made.dtype == entry.dtype
        assert made.gpu_memory_utilization == entry.runtime.memory_fraction


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_checkpoint_has_its_fields_here(name):
    assert {entry.path for entry in checkpoints_of(name).values()} <= MODELS.keys()
