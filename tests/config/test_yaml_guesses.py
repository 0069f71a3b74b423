"""Values that YAML reads differently from how they look: one message for each place."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import ConfigError, load_config

ROOT = Path(__file__).parents[2]


def errors_of(tmp_path: Path, *edits: tuple[str, str]) -> list[str]:
    """Load the miniature's configuration after text edits, and return its errors."""
    text = (ROOT / "config/demo.yaml").read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(yaml.safe_load(text), ROOT, [path])
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


LANGUAGES = "languages: [en, ar, zh, de, is, ja, nl, ru, es]"


@pytest.mark.parametrize(
    ("edit", "place", "remedy"),
    [
        ((LANGUAGES, "languages: [no, de]"), "languages.0: found False", "put the word in quotes"),
        ((LANGUAGES, "languages: [on, de]"), "languages.0: found True", "put the word in quotes"),
        (("sources:\n", "sources:\n  yes: {path: x.jsonl}\n"), "sources: found the key True", "put the word in quotes"),
        (("\nreport:", "\ncheckpoints: {c: {engine: vllm, path: a/b, revision: 2024-01-01}}\nreport:"),
         "checkpoints.c.revision: found datetime.date(2024, 1, 1)", "as a date; put it in quotes"),
        (("\nreport:", "\ncheckpoints: {c: {engine: vllm, path: a/b, revision: 12345678}}\nreport:"),
         "checkpoints.c.revision: found 12345678", "put the value in quotes"),
        (("\nreport:", "\nmodels: {m: {checkpoint: {no: strong}}}\nreport:"),
         "models.m.checkpoint: found the key False", "put the word in quotes"),
        (("prompts_per_language: ", "prompts_per_language: 1e3 # "),
         "evaluation.prompts_per_language: found '1e3'", "write the number in full: 1000"),
        (("prompts_per_language: ", "prompts_per_language: 010 # "), "config.yaml:", "octal number; write 10 for"),
        (("prompts_per_language: ", "prompts_per_language: 1:30 # "), "config.yaml:", "reads 1:30 as a number in base"),
        (("prompts_per_language: ", "seed: 1\n  seed: 2\n  prompts_per_language: "), "config.yaml:", "already defined"),
    ],
)  # fmt: skip
def test_each_place_has_one_message_with_the_remedy(tmp_path, edit, place, remedy):
    (line,) = errors_of(tmp_path, edit)
    assert place in line and remedy in line


def test_numbers_that_yaml_reads_as_written_are_accepted(tmp_path):
    text = (ROOT / "config/demo.yaml").read_text(
        encoding="utf-8"
    ) + '\nfigures: {style: "resources/figures.mplstyle"}\n'
    text = text.replace("learning_rate: ", "learning_rate: 1e-4 # ").replace("beta: ", "beta: 0.10 # ")
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_config(yaml.safe_load(text), ROOT, [path]).training.learning_rate == 1e-4
