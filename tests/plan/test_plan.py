"""The artifacts and batches that a configuration implies. Dry runs are in test_workflow.py."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.needs import data_repositories
from polypref.plan.plan import Plan, Response, Translation
from polypref.plan.settings import settings

ROOT = Path(__file__).parents[2]
TARGETS = ["ar", "de", "es", "is", "ja", "nl", "ru", "zh"]


def raw(name: str = "config.yaml") -> dict:
    return yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))


def plan(config: dict) -> Plan:
    return Plan(load_config(config, ROOT), read_languages(ROOT))


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan(raw())


def test_one_batch_per_checkpoint_and_task(paper):
    batches = paper.batches()
    tasks = {
        task: sorted(name for kind, name in batches if kind == task) for task in ("translate", "generate", "judge")
    }
    assert len(tasks["translate"]) == 11 and sum(name.startswith("x-alma") for name in tasks["translate"]) == 5
    assert tasks["generate"] == ["command-r-35b", "qwen2.5-0.5b"] and tasks["judge"] == ["qwen2.5-32b"]
    answer = [name for task, name in batches if task == "answer"]
    assert sorted(answer) == ["A", "B", "C", "base", "gemma-1.1-7b", "llama-3-8b", "mistral-7b-v0.3"]


def test_beam_search_and_sampling_share_a_checkpoints_batch(paper):
    stems = paper.batches()["translate", "x-alma-group2"]
    assert stems == [
        "pairs/chosen/x-alma-bs/es",
        "pairs/prompt/x-alma-bs/es",
        "pairs/rejected/x-alma-bs/es",
        "wmt/source/x-alma-bs/es",
        "wmt/source/x-alma/es",
    ]


def test_english_is_generated_but_not_translated(paper):
    assert [paper.field_file("A", field, "en") for field in ("prompt", "chosen", "rejected")] == [None] * 3
    assert paper.field_file("B", "chosen", "en") == Response("english", "command-r-35b", "en")
    assert paper.field_file("C", "rejected", "en") is None


def test_architectures_share_common_artifacts(paper):
    assert paper.field_file("B", "chosen", "de") == paper.field_file("C", "chosen", "de")
    assert paper.field_file("A", "prompt", "de") == paper.field_file("C", "prompt", "de")
    assert paper.field_file("C", "rejected", "de") == Translation("pairs", "rejected", "nllb-200-3.3b", "de")


def test_unsupported_languages_are_left_out(paper):
    assert paper.wmt_languages("tower-13b") == ["de", "es", "ja", "nl", "ru", "zh"]
    assert paper.wmt_languages("x-alma") == TARGETS
    assert len(paper.wmt_translations()) == 8 * 8 - 4


def test_a_fourth_architecture_needs_only_configuration():
    config = raw()
    row = {"prompt": {"translate": "nllb-200-3.3b"}, "chosen": {"generate": "command-r-35b"}, "rejected": "english"}
    config["architectures"]["D"] = row
    made = plan(config)
    assert made.field_file("D", "chosen", "de") == Response("nllb-200-3.3b", "command-r-35b", "de")
    assert made.field_file("D", "rejected", "de") is None
    assert ("answer", "D") in made.batches() and "D/de" in made.batches()["judge", "qwen2.5-32b"]


def test_the_plan_does_not_depend_on_the_order_of_keys_and_languages(paper):
    config = raw()
    shuffled = {key: config[key] for key in reversed(config)}
    shuffled["languages"] = config["languages"][::-1]
    shuffled["architectures"] = dict(reversed(config["architectures"].items()))
    other = plan(shuffled)
    assert other.batches() == paper.batches() and other.translations() == paper.translations()
    assert other.config.all_languages == paper.config.all_languages
    assert str(other.config.shown()) == str(paper.config.shown()), "the report shows the same configuration"


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_params_do_not_contain_runtime(name):
    config = raw(name)
    made = plan(config)
    runtimes = {
        key: {**entry.model_dump(exclude_none=True), "runtime": {"threads": 7}}
        for key, entry in made.config.checkpoints.items()
    }
    config["checkpoints"] = runtimes
    config["training"]["runtime"] = {**config["training"]["runtime"], "threads": 7}
    other = plan(config)
    for model in ("x-alma-bs", "strong"):
        if model in made.config.models:
            assert other.request_settings_of_model(model, "de", True) == made.request_settings_of_model(
                model, "de", True
            )
    assert other.request_settings_of_judge() == made.request_settings_of_judge() and other.request_settings_of_policy(
        "A"
    ) == made.request_settings_of_policy("A")
    assert other.config.shown() != {} and "threads" not in str(other.config.shown())


def test_requests_to_a_generator_say_what_it_does_with_system_messages_unless_its_template_decides():
    def asked(**checkpoint) -> dict:
        config = raw("demo.yaml")
        config["checkpoints"] = {"g": {"engine": "vllm", "path": "o/n", **checkpoint}}
        config["models"] = {"g": {"checkpoint": "g", "prompt": "instruct"}}
        config["architectures"]["B"]["chosen"] = {"generate": "g"}
        made = plan(config)
        assert "system_role" not in made.request_settings_of_model("g", "de", translate=True)
        assert made.request_settings_of_generator("g")["g"] == made.request_settings_of_model("g", "de")
        return made.request_settings_of_model("g", "de")

    assert "system_role" not in asked()
    assert asked(system_role="merge")["system_role"] == "merge"
    assert asked(engine="openai")["system_role"] == "keep"
    assert asked(engine="openai", system_role="merge")["system_role"] == "merge"


def test_native_prompts_take_the_place_of_translations_except_in_english():
    config = raw("demo.yaml")
    config["native"] = {"own": {"path": "o/n", "subset": "{iso}", "license": "cc0-1.0"}, "unused": {"path": "o/m"}}
    config["architectures"]["N"] = {
        "prompt": {"native": "own"}, "chosen": {"generate": "strong"}, "rejected": {"generate": "weak"},
    }  # fmt: skip
    made = plan(config)
    assert made.field_file("N", "prompt", "de") is None
    assert made.field_file("N", "chosen", "de") == Response("own", "strong", "de")
    assert made.field_file("N", "chosen", "en") == Response("english", "strong", "en")
    assert made.native_files("N")["de"] == "results/native/own/de.parquet" and not made.native_files("A")
    assert set(made.native_files("N").values()) <= set(made.dataset_inputs("N"))
    assert made.licenses("N")["own"] == "cc0-1.0" and "own" not in made.licenses("A")
    (repository,) = [found for found in data_repositories(made) if found.path in ("o/n", "o/m")]
    assert repository.path == "o/n" and ("deu", "train") in repository.parts
    assert "native" in settings(made, "dataset.N") and "native" not in settings(made, "dataset.A")
    assert set(settings(made, "tables")["native"]) == set(made.architectures)
    assert "native" not in settings(plan(raw("demo.yaml")), "tables")
