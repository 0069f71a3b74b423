"""The configuration: shipped files are valid, the schema is up to date, and errors name key, found and allowed."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from config_errors import error_of

from polypref.config.loading import load_config
from polypref.config.reference import reference
from polypref.config.sections import json_schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml", "laptop.yaml", "single_gpu.yaml"])
def test_shipped_configurations_are_valid(name):
    load_config(yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")), ROOT)


def test_the_rehearsal_trains_with_the_threads_of_the_miniature(demo):
    """Otherwise its policies differ in their last digits on some CPUs, and so does what follows from them."""
    rehearsal = yaml.safe_load((ROOT / "config/rehearsal.yaml").read_text(encoding="utf-8"))
    assert rehearsal["training"]["runtime"]["threads"] == demo["training"]["runtime"]["threads"]


def test_schema_and_reference_are_up_to_date():
    written = json.loads((ROOT / "config/schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(), "run `make schema`"
    assert (ROOT / "config/README.md").read_text(encoding="utf-8") == reference(), "run `make schema`"


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_shipped_configurations_fit_the_schema(name):
    jsonschema.validate(yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")), json_schema())


def test_loading_does_not_change_the_given_configuration(demo):
    before = copy.deepcopy(demo)
    load_config(demo, ROOT)
    assert demo == before


def test_unknown_key_is_reported_with_allowed_keys_and_a_suggestion(demo):
    demo["sampling"]["itmes"] = 3
    text = error_of(demo)
    assert "sampling.itmes: unknown key" in text and "items" in text and "did you mean 'items'" in text


def test_unknown_key_at_the_top(demo):
    demo["langauges"] = ["en"]
    assert "langauges: unknown key" in error_of(demo) and "did you mean 'languages'" in error_of(demo)


def test_wrong_type_is_reported_with_key_found_and_allowed(demo):
    demo["sampling"]["items"] = "many"
    text = error_of(demo)
    assert "sampling.items" in text and "'many'" in text and "integer" in text


def test_value_out_of_range(demo):
    demo["training"]["beta"] = -1
    text = error_of(demo)
    assert "training.beta" in text and "-1" in text and "greater than 0" in text


def test_missing_section(demo):
    del demo["training"]
    assert "training: is missing" in error_of(demo)


def test_unknown_model(demo):
    demo["architectures"]["B"]["chosen"] = {"generate": "stron"}
    text = error_of(demo)
    assert "architectures.B.chosen" in text and "'stron'" in text and "did you mean 'strong'" in text


def test_unknown_checkpoint(demo):
    demo["judging"]["judge"] = "gpt-7"
    text = error_of(demo)
    assert "judging.judge" in text and "'gpt-7'" in text and "strong" in text


def test_architecture_with_a_source_that_does_not_exist(demo):
    demo["architectures"]["B"]["chosen"] = {"translte": "strong"}
    text = error_of(demo)
    assert "architectures.B.chosen" in text and "translte" in text and "{translate: MODEL}" in text
    demo["architectures"]["B"]["chosen"] = "german"
    assert "'english'" in error_of(demo)


def test_architecture_without_a_field(demo):
    del demo["architectures"]["A"]["rejected"]
    assert "architectures.A.rejected" in error_of(demo)


def test_unknown_language(demo):
    demo["languages"].append("xx")
    text = error_of(demo)
    assert "languages: found 'xx'" in text and "resources/languages.yaml" in text


@pytest.mark.parametrize(
    ("key", "section"),
    [
        ("models.strong.languages", {"checkpoint": "strong", "languages": ["de", "iz"]}),
        ("models.strong.checkpoint", {"checkpoint": {"de": "strong", "iz": "strong"}}),
        ("checkpoints.strong.languages", {"engine": "seq2seq", "path": ".", "languages": {"de": "a", "iz": "b"}}),
    ],
)
def test_unknown_language_in_the_registry(demo, key, section):
    """Regression: the language's cells were silently left empty."""
    demo[key.split(".")[0]] = {"strong": section}
    text = error_of(demo)
    assert f"{key}: found 'iz'" in text and "resources/languages.yaml" in text


def test_language_without_a_code_for_a_model_that_needs_one(demo):
    registry = yaml.safe_load((ROOT / demo["registry"]).read_text(encoding="utf-8"))
    nllb = registry["checkpoints"]["nllb"]
    del nllb["languages"]["de"]
    demo["checkpoints"] = {"nllb": nllb}
    text = error_of(demo)
    assert "checkpoints.nllb.languages" in text and "'de'" in text and "architectures.C.rejected" in text


def test_translator_that_does_not_support_a_language(demo):
    demo["models"] = {
        "strong-beam": {"checkpoint": "strong", "prompt": "x-alma", "languages": ["de"], "decoding": {"beam_size": 5}}
    }
    text = error_of(demo)
    assert "architectures.A.prompt" in text and "strong-beam for ar" in text


def test_checkpoint_folder_that_does_not_exist(demo):
    demo["checkpoints"] = {"strong": {"engine": "vllm", "path": "./no/such/folder"}}
    text = error_of(demo)
    assert "checkpoints.strong.path" in text and "./no/such/folder" in text


def test_a_custom_endpoint_does_not_get_openais_key_by_default(demo):
    mine = {"engine": "openai", "path": "m", "base_url": "http://127.0.0.1:9/v1"}
    demo["checkpoints"] = {"mine": mine}
    assert "checkpoints.mine.api_key_env: is missing" in error_of(demo)
    demo["checkpoints"] = {"mine": {**mine, "api_key_env": "MY_KEY"}}
    load_config(demo, ROOT)


def test_an_error_in_an_architecture_is_one_line(demo):
    demo["architectures"]["B"]["prompt"] = {"generate": "strong"}
    assert error_of(demo).splitlines()[1:] == [
        "  architectures.B.prompt: found {'generate': 'strong'}; allowed: 'english', {translate: MODEL} or {native: "
        "NAME of a set in `native`}"
    ]


@pytest.mark.parametrize(("key", "value"), [("sources", {}), ("languages", []), ("evaluation", None)])
def test_an_empty_section(demo, key, value):
    demo[key] = value
    assert f"{key}: is empty" in error_of(demo)


def test_source_file_that_does_not_exist(demo):
    demo["sources"]["gutenberg"]["path"] = "missing.jsonl"
    assert "sources.gutenberg.path: found 'missing.jsonl'" in error_of(demo)


def test_several_errors_are_listed_at_once(demo):
    demo["judging"]["judge"] = "nobody"
    demo["languages"].append("xx")
    text = error_of(demo)
    assert "2 errors" in text and "judging.judge" in text and "languages" in text


def test_registry_that_does_not_exist(demo):
    demo["registry"] = "no.yaml"
    assert "registry: found 'no.yaml'" in error_of(demo)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("checkpoints: {a: [\n", "registry.yaml: cannot be read as YAML: while parsing a flow node"),
        ("- a\n", "registry.yaml: found no section"),
        ("checkpoints: [a]\n", "registry.yaml: found checkpoints (list); allowed: checkpoints and models"),
        ("modells: {}\n", "registry.yaml: found modells (dict); allowed: checkpoints and models"),
    ],
)
def test_an_invalid_registry(demo, tmp_path, text, expected):
    (tmp_path / "registry.yaml").write_text(text, encoding="utf-8")
    demo["registry"] = str(tmp_path / "registry.yaml")
    assert expected in error_of(demo)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("checkpoints", ["a"], "checkpoints: found ['a']; allowed: a section of keys and values"),
        ("architectures", {"A": "english"}, "architectures.A: found 'english'; allowed: a section of keys and values"),
        (
            "sources",
            {"a/b": {"path": "pairs.jsonl"}},
            "sources.a/b: found 'a/b'; allowed: a name that is valid in file paths",
        ),
    ],
)
def test_values_that_are_not_sections_or_names(demo, key, value, expected):
    demo[key] = value
    assert expected in error_of(demo)


def test_turns_are_an_option_of_formats_with_conversations(demo):
    demo["sources"]["gutenberg"]["turns"] = "any"
    assert "sources.gutenberg.turns: found 'any'; allowed: none: format gutenberg has no conversations" in error_of(
        demo
    )
    demo["sources"]["gutenberg"]["turns"] = "several"
    assert "sources.gutenberg.turns: found 'several'; allowed: 'single' or 'any'" in error_of(demo)


def test_options_that_are_not_set_do_not_change_the_parameters_of_reading(demo):
    source = load_config(demo, ROOT).sources["gutenberg"]
    assert "turns" not in source.reading() and "turns" in source.model_copy(update={"turns": "any"}).reading()


def test_native_prompts_need_generated_answers_and_a_set(demo):
    answers = {"chosen": {"generate": "strong"}, "rejected": {"generate": "weak"}}
    demo["architectures"]["N"] = {"prompt": {"native": "own"}, **answers}
    assert "architectures.N.prompt: found 'own'; allowed: a set in `native`: nothing" in error_of(demo)
    demo["native"] = {"own": {"path": "o/n"}, "strong": {"path": "o/n"}, "files": {"path": "no/{language}.jsonl"}}
    assert "native.strong: found 'strong'; allowed: a name other than" in error_of(demo)
    del demo["native"]["strong"]
    load_config(demo, ROOT)
    demo["architectures"]["N"] = {"prompt": {"native": "files"}, **answers, "rejected": {"translate": "strong"}}
    demo["diagnostics"] = {"align": True}
    error = error_of(demo)
    assert "architectures.N.rejected: found 'not generated'; allowed: {generate: MODEL}, since a native" in error
    assert "diagnostics.align: found True; allowed: false" in error
    assert "native.files.path: found 'no/ar.jsonl'; allowed: a file that exists" in error
