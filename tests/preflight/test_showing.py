"""show-requests shows every batch, from its requests file or from placeholders."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.plan.plan import Plan
from polypref.preflight.showing import local_renderer, show
from polypref.requests.asking import RequestSettings
from polypref.requests.generate import ask_responses

ROOT = Path(__file__).parents[2]


def plan_of(name: str) -> Plan:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def blocks(text: str) -> dict[str, str]:
    return {block.split(":")[0]: block for block in text.split("=== ")[1:]}


@pytest.fixture(scope="module")
def paper() -> dict[str, str]:
    plan = plan_of("config")
    templates = {"judge": (ROOT / "resources/prompts/judge.txt").read_text(encoding="utf-8")}
    text = show(plan, Path("none"), templates, lambda row: None)
    found = blocks(text)
    assert found.keys() == {f"{task}/{name}" for task, name in plan.batches()}
    found["all"] = text
    return found


def test_every_model_of_the_design_is_shown_with_its_request(paper):
    assert "Translate this from English to Arabic:\nEnglish: <source in English>\nArabic:" in paper["all"]
    for group, path in ((1, "Group1"), (2, "Group2"), (3, "Group3"), (6, "Group6"), (8, "Group8")):
        assert f"haoranxu/X-ALMA-13B-{path}" in paper[f"translate/x-alma-group{group}"]
    for decoding in ('{"beam_size": 5, "max_tokens": 2048', '"temperature": 0.6'):
        assert decoding in paper["all"]
    tower = "Translate the following text from English into German.\nEnglish: <source in English>\nGerman:"
    assert tower in paper["translate/tower-13b"]
    assert '"source_code": "eng_Latn", "target_code": "arb_Arab"' in paper["translate/nllb-200-3.3b"]
    assert "gpt-4o-2024-08-06" in paper["translate/gpt-4o"] and '"temperature": 0.0' in paper["translate/gpt-4o"]
    assert '"temperature": 0.7' in paper["generate/command-r-35b"] and "--- user" in paper["generate/qwen2.5-0.5b"]
    assert '"max_tokens": 2048, "temperature": 0.3' in paper["answer/A"]
    assert (
        "CohereLabs/aya-23-8B trained on data set A" in paper["answer/A"]
        and " at main" not in paper["translate/gpt-4o"]
    )
    assert '"max_tokens": 20, "temperature": 0.0' in paper["judge/qwen2.5-32b"]


def test_existing_requests_are_shown_as_rendered(tmp_path):
    plan = plan_of("demo")
    path = ROOT / "resources/demo/models/weak"
    asked = RequestSettings("weak", str(path), "digest", True, {"max_tokens": 8, "temperature": 0.7})
    rows = ask_responses([{"item_id": "i", "prompt": "hello you"}], asked, "de")
    stem = plan.batches()["generate", "weak"][0]
    write_table(tmp_path / f"requests/generate/{stem}.parquet", rows, REQUESTS)
    text = blocks(show(plan, tmp_path, {"judge": "{language}{prompt}{answer_a}{answer_b}"}, local_renderer()))
    shown = text["generate/weak"].split("--- rendered with the chat template")[1]
    assert "hello you" in shown and shown.strip() != "hello you", "the chat template adds its markers"
    assert "first of" in text["generate/weak"] and "placeholders" not in text["generate/weak"]
