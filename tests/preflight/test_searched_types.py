"""Preflight finds decoders whose type beam search does not support."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.searched_types import check_searched_types

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"model_type": "llama"}, []),
        ({"model_type": "my_own", "auto_map": {}}, ["error: checkpoint strong: models.strong-beam uses beam search"]),
        ({"model_type": "mamba"}, ["error: checkpoint strong: models.strong-beam uses beam search"]),
        (None, ["unchecked: beam search: no config.json is available yet for strong"]),
    ],
)
def test_types_that_transformers_cannot_search_are_reported(content, expected):
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    plan = Plan(load_config(raw, ROOT), read_languages(ROOT))
    found = [f"{finding.level}: {finding.what}" for finding in check_searched_types(plan, lambda *_: content)]
    assert len(found) == len(expected) and all(map(str.startswith, found, expected)), found
