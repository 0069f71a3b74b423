"""The recipes of docs/adding.md work, unchanged, on a copy of the published experiment."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from polypref.config.loading import ConfigError, load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.showing import show

ROOT = Path(__file__).parents[2]
RECIPES = [
    yaml.safe_load(block)
    for block in re.findall(r"^ *```yaml\n(.*?)```", (ROOT / "docs/adding.md").read_text(encoding="utf-8"), re.M | re.S)
]

GROUP4 = "haoranxu/X-ALMA-13B-Group4"  # this group includes French


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the experiment's files, as in a fork."""
    shutil.copytree(ROOT / "resources", tmp_path / "resources", ignore=shutil.ignore_patterns("demo"))
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(*keys: str) -> dict:
    """Return the first recipe with all of these keys."""
    return next(found for found in RECIPES if set(keys) <= found.keys())


def edit(path: str, change) -> None:
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    change(content)
    Path(path).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def plan_of(folder: Path) -> Plan:
    raw = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, folder), read_languages(folder))


def shown_requests(plan: Plan) -> str:
    templates = {"judge": Path("resources/prompts/judge.txt").read_text(encoding="utf-8")}
    return show(plan, Path("none"), templates, lambda row: None)


def test_a_language(copy):
    edit("resources/languages.yaml", lambda table: table.update(recipe("br")))
    edit("config/config.yaml", lambda config: config["languages"].extend(["br", "fr"]))
    with pytest.raises(ConfigError) as caught:
        plan_of(copy)
    assert "x-alma-bs for br" in str(caught.value) and "nllb-200-3.3b.languages" in str(caught.value)
    edit("config/config.yaml", lambda config: config["languages"].remove("br"))
    edit("resources/models.yaml", lambda registry: (
        registry["checkpoints"].update({"x-alma-group4": {**registry["checkpoints"]["x-alma-group1"], "path": GROUP4}}),
        registry["models"]["x-alma-bs"]["checkpoint"].update(fr="x-alma-group4"),
        registry["checkpoints"]["nllb-200-3.3b"].update(languages="nllb"),
    ))  # fmt: skip
    plan = plan_of(copy)
    assert "pairs/prompt/x-alma-bs/fr" in plan.batches()["translate", "x-alma-group4"]
    assert "wmt/source/gpt-4o/fr" in plan.batches()["translate", "gpt-4o"]
    assert "A/fr" in plan.batches()["judge", "qwen2.5-32b"] and "base/fr" in plan.batches()["answer", "base"]
    assert plan.request_settings_of_model("nllb-200-3.3b", "fr", True)["decoding"]["target_code"] == "fra_Latn"


def test_a_model_as_opponent_translator_and_generator(copy):
    for name in ("checkpoints", "models"):
        edit("resources/models.yaml", lambda registry, name=name: registry[name].update(recipe(name)[name]))
    edit("config/config.yaml", lambda config: (
        config["evaluation"]["opponents"].append("my-model"),
        config["wmt"]["translators"].append("my-model-mt"),
        config["architectures"].update(
            E={"prompt": "english", "chosen": {"generate": "my-model"}, "rejected": "english"}
        ),
    ))  # fmt: skip
    plan = plan_of(copy)
    batches = {name for name in plan.batches() if name[1] == "my-model"}
    assert batches == {("answer", "my-model"), ("translate", "my-model"), ("generate", "my-model")}
    text = shown_requests(plan)
    assert "=== translate/my-model: vllm owner/name at <commit>" in text and '"max_tokens": 1024' in text


def test_a_translator_prompt(copy):
    formal = next(found for found in RECIPES if "my-model-formal" in found.get("models", {}))["models"]
    edit("resources/models.yaml", lambda registry: registry["checkpoints"].update(recipe("checkpoints")["checkpoints"]))
    edit("resources/models.yaml", lambda registry: registry["models"].update(formal))
    edit("config/config.yaml", lambda config: config["wmt"]["translators"].append("my-model-formal"))
    text = shown_requests(plan_of(copy))
    assert "Translate into Arabic, in a formal tone. Reply with the translation alone.\n\n<source in English>" in text
    for wrong in ("instuct", "Translate {txt} into {language}", "no place for the text"):
        edit(
            "resources/models.yaml",
            lambda registry, wrong=wrong: registry["models"]["my-model-formal"].update(prompt=wrong),
        )
        with pytest.raises(ConfigError, match=r"models.my-model-formal.prompt: found .* or a template with \{text\}"):
            plan_of(copy)


def test_an_architecture(copy):
    before = plan_of(copy).batches()
    edit("config/config.yaml", lambda config: config["architectures"].update(recipe("architectures")["architectures"]))
    plan = plan_of(copy)
    assert plan.architectures == ["A", "B", "C", "D"] and "D" in plan.answerers
    for task in ("translate", "generate"):  # D is built from existing texts
        assert {key: stems for key, stems in plan.batches().items() if key[0] == task} == {
            key: stems for key, stems in before.items() if key[0] == task
        }


def test_a_data_set(copy):
    Path("pairs.jsonl").write_text('{"prompt": "p", "chosen": "c", "rejected": "r"}\n')
    edit("config/config.yaml", lambda config: config["sources"].update(recipe("sources")["sources"]))
    plan = plan_of(copy)
    assert {"mine", "theirs"} <= plan.config.sources.keys() and plan.licenses("A")["theirs"] == "mit"
