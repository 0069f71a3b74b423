"""The artifacts and batches that a configuration implies. Dry runs are in test_workflow.py."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import ConfigError, load_config, read_languages
from polypref.plan.artifacts import Response, Translation
from polypref.plan.needs import data_repositories
from polypref.plan.plan import Plan
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


def test_requests_to_an_opponent_say_it_too_if_the_evaluation_prompts_may_be_conversations():
    def asked(name: str, **evaluation) -> str | None:
        config = raw("demo.yaml")
        registry = yaml.safe_load((ROOT / "resources/demo/models.yaml").read_text(encoding="utf-8"))["checkpoints"]
        config["checkpoints"] = {key: {**registry[key], "system_role": "merge"} for key in ("base", "weak")}
        config["evaluation"] |= evaluation
        return plan(config).request_settings_of_policy(name).get("system_role")

    own = {"format": "own", "path": "resources/demo/sources/gutenberg.jsonl"}
    assert [asked("weak", **own), asked("weak")] == ["merge", None]
    assert asked("A", **own) is None, "a policy was trained with what its template does"


def test_requests_to_a_generator_state_how_it_handles_system_messages():
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


def test_an_additional_seed_adds_only_its_own_policies():
    config = raw("demo.yaml")
    one = plan(config)
    config["training"]["seeds"] = [2, 42]
    two = plan(config)
    assert (one.policies, one.trained_names) == (["base", "A", "B", "C"], {})
    assert two.policies == ["base", "A.s2", "A", "B.s2", "B", "C.s2", "C"]
    assert two.trained["A"] == ("A", 42) and two.trained_names["A"] == ("A", "A.s42")
    assert two.training_settings("A") == one.training_settings("A") == one.config.training.recipe()
    assert two.training_settings("A.s2") == one.training_settings("A") | {"seed": 2}
    for what in ("training", "answer", "judge", "dataset.A"):
        assert settings(two, what) == settings(one, what)
    before, after = one.batches(), two.batches()
    added = {key for key in after if after[key] != before.get(key)}
    assert added == {("answer", "A.s2"), ("answer", "B.s2"), ("answer", "C.s2"), ("judge", "judge")}
    assert set(after["judge", "judge"]) > set(before["judge", "judge"])
    config["training"]["seeds"] = [7]
    assert plan(config).trained_names["A.s7"] == ("A", "A"), "a single seed is not named in tables"


def test_settings_of_training_leave_out_options_that_are_not_set():
    """A new option changes no settings file, which would make the trainings of earlier versions stale."""
    given = settings(plan(raw("demo.yaml")), "training")["training"]
    assert not set(given) & {"loss", "label_smoothing", "adam_betas", "held_out", "held_out_seed", "seeds", "runtime"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"seeds": [1, 1]}, "training.seeds"),
        ({"loss": "ipo", "label_smoothing": 0.1}, "training.label_smoothing"),
        ({"adam_betas": [0.9, 1.0]}, "training.adam_betas"),
        ({"liger_kernel": True}, "training.liger_kernel"),
        ({"held_out": 1.0}, "training.held_out"),
    ],
)
def test_invalid_options_of_training_are_reported(change, fault):
    config = raw("demo.yaml")
    config["training"].update(change)
    with pytest.raises(ConfigError, match=fault):
        plan(config)


def test_a_policy_of_a_seed_must_not_have_another_architectures_name():
    config = raw("demo.yaml")
    config["training"]["seeds"] = [1, 42]
    config["architectures"]["A.s1"] = config["architectures"]["A"]
    with pytest.raises(ConfigError, match=r"A\.s1"):
        plan(config)
