"""The user's own test sets in the configuration: paths and options are checked, and the plan uses their languages."""

import json
from pathlib import Path

import pytest
from config_errors import error_of

from polypref.config.loading import load_config, read_languages
from polypref.plan.needs import data_repositories
from polypref.plan.plan import Plan

ROOT = Path(__file__).parents[2]


def plan_of(demo) -> Plan:
    return Plan(load_config(demo, ROOT), read_languages(ROOT))


@pytest.fixture
def own(demo, tmp_path):
    for name in ("prompts.jsonl", "segments-de.jsonl", "segments-is.jsonl"):
        (tmp_path / name).write_text(json.dumps({"prompt": "q", "source": "s"}))
    demo["languages"] = ["en", "de", "is", "nl"]
    demo["evaluation"].update(path=f"{tmp_path}/prompts.jsonl", format="own")
    demo["wmt"].update(path=f"{tmp_path}/segments-{{language}}.jsonl", format="own", languages=["de", "is"])
    return demo


def test_own_sets_are_planned(own):
    plan = plan_of(own)
    assert plan.all_wmt_languages == ["de", "is"] and data_repositories(plan) == []
    read = plan.config.wmt.own(plan.config.wmt.path, "is")
    assert read["path"].endswith("segments-is.jsonl") and read["one_language"]
    assert not plan.config.evaluation.own_prompts("is")["one_language"]


def test_a_language_without_a_file_is_an_error(own):
    del own["wmt"]["languages"]
    assert "wmt.path: found" in error_of(own) and "segments-nl.jsonl" in error_of(own)


def test_hub_sets_are_read_by_their_configurations(demo):
    demo["languages"] = ["en", "de"]
    demo["evaluation"].update(path="CohereLabs/m-ArenaHard", format="m_arenahard")
    demo["wmt"].update(path="owner/set", format="own", subset="en-{language}", split="dev")
    parts = {repository.path: repository.parts for repository in data_repositories(plan_of(demo))}
    assert parts == {"owner/set": (("en-de", "dev"),), "CohereLabs/m-ArenaHard": (("en", "test"), ("de", "test"))}
    read = plan_of(demo).config.evaluation.own_prompts("de")
    assert read["columns"] == {"id": "question_id"} and read["one_language"]


def test_options_of_own_sets_are_refused_for_others(demo):
    demo["evaluation"]["columns"] = {"prompt": "question"}
    demo["wmt"]["path"] = ["a.jsonl"]
    text = error_of(demo)
    assert "evaluation.columns: is only for own sets; set evaluation.format" in text
    assert "wmt.path" in text and "wmt.format: own" in text
