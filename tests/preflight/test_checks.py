"""Preflight lists all faults together, reports what can't be checked, and never shows secrets."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hub import COMMIT, TOKEN, serve

from polypref.config.loading import load_config, read_languages
from polypref.plan.needs import Repository, api_keys, nothing_outside, repositories
from polypref.plan.plan import Plan
from polypref.preflight.checks import (
    check_context,
    check_conversions,
    check_disk,
    check_fetched,
    check_hub,
    check_revisions,
    hub_reader,
    preflight,
)
from polypref.preflight.findings import listing
from polypref.preflight.gpu_memory import batch_memory, cache_bytes, training_memory
from polypref.preflight.gpus import check_gpus

ROOT = Path(__file__).parents[2]
SECRET = "hf_" + "x" * 20


def plan_of(name: str, **changes) -> Plan:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    return Plan(load_config({**raw, **changes}, ROOT), read_languages(ROOT))


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan_of("config")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with five repositories: one complete, one gated, one hidden, one that hangs, and one with pickles only."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # another test may have been offline first
    for name in ("fine", "gated", "closed", "hangs", "pickled"):
        folder = tmp_path / "models/o" / name
        folder.mkdir(parents=True)
        (folder / ("pytorch_model.bin" if name == "pickled" else "model.safetensors")).write_bytes(b"weights")
    with serve(tmp_path, gated=("o/gated",)) as hub:
        hub.private.add("o/closed")
        hub.hanging.add("o/hangs")
        yield hub


def test_the_miniature_has_no_external_requirements():
    plan = plan_of("demo")
    assert nothing_outside(plan)
    found = preflight(plan, {}, None, Path("no"), True, {}, "http://127.0.0.1:9", lambda: None)
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "all data and models are local" in found[0].what
    assert found[1].what == "chat templates render: base, judge, mid, strong, weak"


def test_requirements_of_the_paper(paper):
    found = {repository.path: repository for repository in repositories(paper)}
    assert found["google/wmt24pp"].parts[2] == ("en-es_MX", "train") and len(found["google/wmt24pp"].parts) == 8
    gated = {path for path, repository in found.items() if repository.gated}
    assert gated >= {"lmsys/chatbot_arena_conversations", "CohereLabs/aya-23-8B", "meta-llama/Meta-Llama-3-8B-Instruct"}
    assert found["lmsys/chatbot_arena_conversations"].page.startswith("https://huggingface.co/datasets/")
    assert api_keys(paper) == {"OPENAI_API_KEY": ["gpt-3.5-turbo", "gpt-4o"]}


def test_all_faults_are_listed_together_and_an_unreachable_hub_is_reported(paper, tmp_path):
    began = time.monotonic()
    findings = preflight(paper, {}, None, tmp_path, True, {}, "http://127.0.0.1:9", lambda: [24.0], lambda *_: [])
    assert time.monotonic() - began < 20
    wrong = [finding.what for finding in findings if finding.level == "error"]
    assert any("OPENAI_API_KEY" in what and "gpt-4o" in what for what in wrong)
    assert any("no Hugging Face token" in what and "CohereLabs/aya-23-8B" in what for what in wrong)
    assert any("too few GPUs: 1 here" in what and "training requests 8" in what for what in wrong)
    assert any("GPU memory" in what and "qwen2.5-32b" in what for what in wrong)
    assert any("haoranxu/X-ALMA-13B-Group3" in f.what and "snakemake pin" in f.what for f in findings)
    unchecked, searches, templates = [finding.what for finding in findings if finding.level == "unchecked"]
    assert searches.startswith("beam search: no config.json is available yet for") and "x-alma-group1" in searches
    assert "no tokenizer is available yet for aya-23-8b" in templates
    assert "24 of 24" in unchecked or "repositories on the Hub" in unchecked


def test_a_faulty_hub(hub):
    names = ["o/fine", "o/gated", "o/missing", "o/closed", "o/hangs", "o/pickled"]
    found = [Repository("model", name, None, name == "o/gated") for name in names]
    found.append(Repository("model", "o/fine", "ba5e" * 10))
    began = time.monotonic()
    findings = list(check_hub(found, hub_reader(SECRET, hub.url), seconds=6))
    assert time.monotonic() - began < 12
    wrong = "\n".join(finding.what for finding in findings if finding.level == "error")
    assert "o/gated: gated" in wrong and "https://huggingface.co/o/gated" in wrong
    assert "o/missing: does not exist" in wrong and "o/closed: does not exist, or this token has no access" in wrong
    assert f"o/fine: has no revision {'ba5e' * 10}: see https://huggingface.co/o/fine/commits/main" in wrong
    assert "o/pickled: has no *.safetensors at main" in wrong and "polypref.preflight.convert_safetensors" in wrong
    assert len(wrong.splitlines()) == 5, "the complete repository is not reported"
    (unchecked,) = [finding.what for finding in findings if finding.level == "unchecked"]
    assert "1 of 7" in unchecked and "no answer within 6 s" in unchecked
    assert SECRET not in listing(findings)
    assert not [
        f
        for f in check_hub([Repository("model", "o/closed", COMMIT)], hub_reader(TOKEN, hub.url))
        if f.level == "error"
    ]


def test_missing_repositories_are_listed_offline(tmp_path):
    found = [
        Repository("dataset", "o/here", "abc"),
        Repository("model", "o/other", None),
        Repository("model", "o/m", "1"),
    ]
    for name in ("datasets--o--here/snapshots/abc", "models--o--m/snapshots/2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (finding,) = check_fetched(found, tmp_path)
    assert finding.level == "error" and "2 of 3" in finding.what and "o/other, o/m at 1" in finding.what
    assert "snakemake fetch" in finding.what


LONGEST = {("judge", "qwen2.5-32b"): (4396, 20), ("translate", "x-alma-group1"): (512, 2048)}


def levels(plan, gpus, here=True, longest=None, read=lambda path, revision: None) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in check_gpus(plan, gpus, here, longest or LONGEST, read)]


def test_gpus(paper):
    assert [level for level, _ in levels(paper, [141.0] * 8)] == ["ok"]
    assert [level for level, _ in levels(paper, None)] == ["error"]
    (_, few), (_, memory), *_ = [found for found in levels(paper, [24.0]) if found[0] == "error"]
    assert "training requests 8" in few and "answer/base requests" not in few
    assert "judge/qwen2.5-32b needs up to 7" in memory and "weights 66" in memory and "may use 43" in memory


def test_gpus_of_other_machines_are_taken_from_the_configuration(paper):
    ((level, what),) = levels(paper, None, here=False)
    assert level == "ok" and what.startswith("8 GPUs of 80 GB (according to the configuration)")
    ((level, what),) = levels(plan_of("config", runtime={}), None, here=False)
    assert level == "unchecked" and "gpu_memory_gb" in what
    described = plan_of("config", runtime={"gpus": 4, "gpu_memory_gb": 80})
    (wrong,) = [what for level, what in levels(described, None, here=False) if level == "error"]
    assert wrong == "too few GPUs: 4 on a node (runtime.gpus), but training requests 8 (runtime.gpus)"
    assert [level for level, _ in levels(plan_of("config", runtime={"gpu_memory_gb": 80}), None, here=False)] == ["ok"]


def test_an_engine_whose_context_does_not_fit_is_reported(paper):
    """Command-R: 40 layers with 64 key-value heads of size 128; vLLM requires cache for its whole context."""
    content = {
        "num_hidden_layers": 40,
        "num_attention_heads": 64,
        "hidden_size": 8192,
        "max_position_embeddings": 131072,
    }
    assert cache_bytes(content, None) == 2 * 40 * 8192 * 2
    assert batch_memory(paper, "generate", "command-r-35b", content, 4096).longest == pytest.approx(10.7, abs=0.1)
    registry = yaml.safe_load((ROOT / "resources/models.yaml").read_text(encoding="utf-8"))["checkpoints"]
    unbounded = {**registry["command-r-35b"], "runtime": {"gpus": 2, "tensor_parallel": 2}}
    plan = plan_of("config", checkpoints={"command-r-35b": unbounded})
    found = levels(plan, [80.0] * 8, read=lambda path, revision: content if "command-r" in path else None)
    (wrong,) = [what for level, what in found if level == "error"]
    assert "command-r-35b needs 248 GB" in wrong and "max_model_len" in wrong


def test_tight_memory_is_only_a_warning(paper):
    """Without config.json, the cache is an upper bound: models with grouped-query attention need far less."""
    tight = dict(levels(paper, [40.0] * 8))["warning"]
    assert "judge/qwen2.5-32b needs up to" in tight and "exact when their config.json has been fetched" in tight
    shared = {"num_hidden_layers": 64, "num_attention_heads": 40, "hidden_size": 5120, "num_key_value_heads": 8,
              "max_position_embeddings": 32768}  # fmt: skip
    assert cache_bytes(shared, 32.8e9) == 2 * 64 * 8 * 128 * 2


def test_memory_of_training(paper):
    assert training_memory(paper) == pytest.approx(8.0 * (2 + 2 + 2) / 8 + 3), "ZeRO-3 over 8 GPUs, AdamW offloaded"
    plain = plan_of("config")
    training = {**yaml.safe_load((ROOT / "config/config.yaml").read_text())["training"], "adam_offload": False}
    assert training_memory(plan_of("config", training={**training, "zero_stage": 0})) == 8.0 * 18 + 3
    whole = plan_of("config", training={**training, "zero_stage": 2})
    assert training_memory(whole) == pytest.approx(8.0 * (4 + 14 / 8) + 3) and training_memory(plain) < 10
    (wrong,) = [what for level, what in levels(whole, [40.0] * 8) if level == "error"]
    assert "training needs 49" in wrong and "ref_offload" in wrong
    assert training_memory(plan_of("single_gpu")) == pytest.approx(1.54 * 4 + 3), (
        "an adapter has hardly any trained weights"
    )


def test_unpinned_repositories_are_listed_in_one_finding(paper):
    (finding,) = check_revisions(paper)
    assert (
        finding.level == "warning" and "haoranxu/X-ALMA-13B-Group8" in finding.what and "snakemake pin" in finding.what
    )
    assert "google/wmt24pp" not in finding.what


def test_too_little_disk(paper, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=50e9))
    (finding,) = check_disk(paper, tmp_path, tmp_path / "results")
    assert finding.level == "error" and "50 GB are free" in finding.what and "16 checkpoints to fetch" in finding.what
    assert "trained models and their resumable checkpoints" in finding.what


def test_context(paper):
    longest = {
        ("judge", "qwen2.5-32b"): (4500, 20),
        ("answer", "base"): (9000, 10),
        ("translate", "tower-13b"): (4000, 768),
    }
    context = {"Qwen/Qwen2.5-32B-Instruct": 32768, "CohereLabs/aya-23-8B": 8192, "Unbabel/TowerInstruct-13B-v0.1": 4096}
    read = lambda path, revision: {"max_position_embeddings": context[path]}  # noqa: E731
    findings = list(check_context(paper, longest, read))
    assert [(f.level, f.what.split(":")[0]) for f in findings] == [
        ("error", "answer/base"),
        ("warning", "the longest prompt and an answer of maximum length exceed the context"),
    ]
    (unknown,) = check_context(paper, {("answer", "base"): (1, 1)}, lambda path, revision: None)
    assert unknown.level == "unchecked"


def test_a_job_with_too_little_memory_for_a_conversion_is_a_warning(paper, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert list(check_conversions(paper)) == []
    nllb = paper.config.checkpoints["nllb-200-3.3b"]
    small = nllb.model_copy(update={"runtime": nllb.runtime.model_copy(update={"memory_gb": 16})})
    checkpoints = paper.config.checkpoints | {"nllb-200-3.3b": small}
    plan = Plan(paper.config.model_copy(update={"checkpoints": checkpoints}), paper.languages)
    (found,) = check_conversions(plan)
    assert found.level == "warning" and "needs up to 21 GB of main memory, and its job requests 16" in found.what
    (tmp_path / "polypref/ct2" / f"facebook-nllb-200-3.3B-{nllb.revision[:16]}-float16").mkdir(parents=True)
    assert list(check_conversions(plan)) == []
