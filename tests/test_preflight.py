"""Preflight: everything wrong is listed at once, what can't be looked at is said, secrets are not shown."""

import http.server
import threading
import time
from pathlib import Path

import pytest
import yaml

from polypref.config_checks import load_config, read_languages
from polypref.needs import Repository, api_keys, nothing_outside, repositories
from polypref.plan import Plan
from polypref.preflight import check_context, check_fetched, check_gpus, check_hub, hub_reader, listing, preflight

ROOT = Path(__file__).parents[1]
SECRET = "hf_" + "x" * 20


def plan_of(name: str, **changes) -> Plan:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    return Plan(load_config({**raw, **changes}, ROOT), read_languages(ROOT))


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan_of("config")


class Hub(http.server.BaseHTTPRequestHandler):
    """A Hub that gates one repository, lacks another, hangs on a third and wants a token for a fourth."""

    def do_GET(self):
        if "hangs" in self.path:
            time.sleep(20)
        refused = {"gated": (403, "GatedRepo"), "missing": (404, "RepoNotFound"), "closed": (401, "")}
        status, code = next((answer for word, answer in refused.items() if word in self.path), (200, ""))
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_the_miniature_needs_nothing():
    plan = plan_of("demo")
    assert nothing_outside(plan)
    (finding,) = preflight(plan, {}, None, Path("no"), True, {}, "http://127.0.0.1:9", lambda: None)
    assert finding.level == "fine" and "nothing to check" in finding.what


def test_what_the_paper_needs(paper):
    found = {repository.path: repository for repository in repositories(paper)}
    assert found["google/wmt24pp"].parts[2] == ("en-es_MX", "train") and len(found["google/wmt24pp"].parts) == 8
    gated = {path for path, repository in found.items() if repository.gated}
    assert gated >= {"lmsys/chatbot_arena_conversations", "CohereLabs/aya-23-8B", "meta-llama/Meta-Llama-3-8B-Instruct"}
    assert found["lmsys/chatbot_arena_conversations"].page.startswith("https://huggingface.co/datasets/")
    assert api_keys(paper) == {"OPENAI_API_KEY": ["gpt-3.5-turbo", "gpt-4o"]}


def test_everything_wrong_is_listed_at_once_and_the_unreachable_hub_is_said(paper, tmp_path):
    began = time.monotonic()
    findings = preflight(paper, {}, None, tmp_path, True, {}, "http://127.0.0.1:9", lambda: [24.0])
    assert time.monotonic() - began < 20
    wrong = [finding.what for finding in findings if finding.level == "wrong"]
    assert any("OPENAI_API_KEY" in what and "gpt-4o" in what for what in wrong)
    assert any("no Hugging Face token" in what and "CohereLabs/aya-23-8B" in what for what in wrong)
    assert any("1 GPUs are here" in what and "training asks for 8" in what for what in wrong)
    assert any("GPU memory" in what and "qwen2.5-32b" in what for what in wrong)
    (unchecked,) = [finding.what for finding in findings if finding.level == "unchecked"]
    assert "24 of 24" in unchecked or "repositories on the Hub" in unchecked


def test_a_faulty_hub(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # another test may have been offline first
    names = ["o/fine", "o/gated", "o/missing", "o/closed", "o/hangs"]
    found = [Repository("model", name, None, name == "o/gated") for name in names]
    began = time.monotonic()
    findings = list(check_hub(found, hub_reader(SECRET, hub), seconds=6))
    assert time.monotonic() - began < 12
    wrong = "\n".join(finding.what for finding in findings if finding.level == "wrong")
    assert "o/gated: gated" in wrong and "https://huggingface.co/o/gated" in wrong
    assert "o/missing: not found" in wrong and "o/closed" in wrong and "o/fine" not in wrong
    (unchecked,) = [finding.what for finding in findings if finding.level == "unchecked"]
    assert "1 of 5" in unchecked
    assert SECRET not in listing(findings)


def test_offline_what_was_not_fetched_is_named(tmp_path):
    found = [
        Repository("dataset", "o/here", "abc"),
        Repository("model", "o/other", None),
        Repository("model", "o/m", "1"),
    ]
    for name in ("datasets--o--here/snapshots/abc", "models--o--m/snapshots/2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (finding,) = check_fetched(found, tmp_path)
    assert finding.level == "wrong" and "2 of 3" in finding.what and "o/other, o/m at 1" in finding.what
    assert "snakemake fetch" in finding.what


def test_gpus_elsewhere_are_not_checked(paper):
    (finding,) = check_gpus(paper, None, here=False)
    assert finding.level == "unchecked"
    assert [f.level for f in check_gpus(paper, [141.0] * 8, here=True)] == ["fine"]
    assert [f.level for f in check_gpus(paper, None, here=True)] == ["wrong"]


def test_context(paper):
    longest = {
        ("judge", "qwen2.5-32b"): (4500, 20),
        ("answer", "base"): (9000, 10),
        ("translate", "tower-13b"): (4000, 768),
    }
    context = {"Qwen/Qwen2.5-32B-Instruct": 32768, "CohereLabs/aya-23-8B": 8192, "Unbabel/TowerInstruct-13B-v0.1": 4096}
    findings = list(check_context(paper, longest, lambda path, revision: context[path]))
    assert [(f.level, f.what.split(":")[0]) for f in findings] == [
        ("wrong", "answer/base"),
        ("doubt", "the longest prompt and a full answer exceed the context"),
    ]
    (unknown,) = check_context(paper, {("answer", "base"): (1, 1)}, lambda path, revision: None)
    assert unknown.level == "unchecked"
