"""Preflight finds chat templates that are missing, insert a date, fail, can't be trained with or remove reasoning."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.templates import check_templates, local_tokenizer

ROOT = Path(__file__).parents[2]
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def plan_with(template: str | None, **sources) -> Plan:
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    raw["sources"] = {name: {**entry, **sources.get(name, {})} for name, entry in raw["sources"].items()}
    registry = yaml.safe_load((ROOT / "resources/demo/models.yaml").read_text(encoding="utf-8"))
    raw["checkpoints"] = {"base": {**registry["checkpoints"]["base"], "chat_template": template}}
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def findings(template: str | None, load=local_tokenizer, **sources) -> list[tuple[str, str]]:
    return levels(plan_with(template, **sources), load)


def levels(plan: Plan, load=local_tokenizer) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in check_templates(plan, load)]


@pytest.mark.parametrize(
    ("template", "level", "what"),
    [
        ("{{ strftime_now('%Y') }}" + TEMPLATE, "error", "writes today's date"),
        (TEMPLATE.replace("'<|assistant|>'", "'<|assistant|>Sure: '"), "error", "does not begin with its own prompt"),
        ("{{ raise_exception('no way') }}", "error", "its chat template fails: no way"),
        (TEMPLATE.replace("m['content']", "m['content'].split('</think>')[-1]"), "warning", "removes <think>"),
    ],
)
def test_unusable_templates_are_reported(template, level, what):
    found = [entry for entry in findings(template) if entry[0] != "ok"]
    assert [(entry[0], "checkpoint base" in entry[1], what in entry[1]) for entry in found] == [(level, True, True)]


def test_a_date_in_a_template_comment_is_ignored():
    assert {level for level, _ in findings("{# strftime_now #}" + TEMPLATE)} == {"ok"}


def test_a_tokenizer_without_a_template_needs_one_in_the_configuration():
    def load(path, revision):
        tokenizer = local_tokenizer(path, revision)
        tokenizer.chat_template = None
        return tokenizer

    assert "error" not in [level for level, what in findings(TEMPLATE, load) if "base" in what]
    assert any("checkpoints/base" not in what and "has no chat template" in what for _, what in findings(None, load))


def test_tokenizers_that_are_not_on_this_machine_are_not_checked():
    ((level, what),) = findings(None, lambda path, revision: None)
    assert level == "unchecked" and "base, judge" in what


def test_templates_without_a_system_role_or_several_turns_are_reported_if_the_sources_have_conversations():
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
    single = TEMPLATE.replace("for m in messages", "for m in messages[-2:]")
    some = {"helpsteer2": {"turns": "any"}}
    assert not any("system role" in what for _, what in findings(strict))
    assert [
        level for level, what in findings(strict, **some) if "base: its chat template has no system role" in what
    ] == ["ok"]
    warnings = [what for level, what in findings(single, **some) if level == "warning"]
    assert len(warnings) == 1 and "does not render prompts of several turns" in warnings[0]
    assert not [what for level, what in findings(TEMPLATE, **some) if level != "ok" or "system role" in what]


def test_templates_are_checked_for_conversations_of_ones_own_evaluation_set():
    single = TEMPLATE.replace("for m in messages", "for m in messages[-2:]")
    plan = plan_with(single)
    evaluation = plan.config.evaluation.model_copy(update={"format": "own"})
    own = Plan(plan.config.model_copy(update={"evaluation": evaluation}), plan.languages)
    warnings = [what for level, what in levels(own) if level == "warning"]
    assert (
        len(warnings) == 1
        and warnings[0].startswith("checkpoint base: ")
        and "of the evaluation set are not answered" in warnings[0]
    )
