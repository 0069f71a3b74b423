"""Settings of rules: what is expected of translations, and what of the evaluation set is compared with the sources."""

from pathlib import Path

import yaml

from polypref.config.loading import load_config, read_languages
from polypref.datasets.diagnostics import Expected
from polypref.plan.plan import Plan
from polypref.plan.settings import compared_evaluation, expected_texts, settings

ROOT = Path(__file__).parents[2]


def plan(name: str = "config.yaml", **changes) -> Plan:
    raw = yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")) | changes
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def test_only_translations_are_compared_with_their_source():
    fields = {name: expected_texts(plan(), name)["translated"] for name in "ABC"}
    assert fields == {"A": ["prompt", "chosen", "rejected"], "B": ["prompt"], "C": ["prompt", "rejected"]}
    expected = Expected(**expected_texts(plan(diagnostics={"length_ratio": [0.4, 3], "sentence_ratio": 0.3}), "A"))
    assert expected.scripts["zh"] == "Hans" and "en" not in expected.scripts
    assert expected.lengths == [0.4, 3] and expected.sentences == 0.3 and expected.length_ratios["zh"] < 0.5


def test_limits_are_settings_of_a_data_set_only_if_pairs_are_left_out_for_flags():
    assert "expected" not in settings(plan(), "dataset.A")
    assert "expected" in settings(plan(diagnostics={"drop": "broken"}), "dataset.A")


def test_the_evaluation_set_is_compared_whatever_the_languages():
    everything = compared_evaluation(plan())
    assert everything["configs"] == ["dolly_human_edited", "dolly_machine_translated"]
    assert compared_evaluation(plan(languages=["en", "de"])) == everything
    assert compared_evaluation(plan(languages=["en"]))["configs"] == ["dolly_machine_translated"]
    assert compared_evaluation(plan(sampling={"contaminated": "keep"})) == {"configs": []}
    assert compared_evaluation(plan("demo.yaml")) == {"configs": []}, "local files are inputs of the rule"
