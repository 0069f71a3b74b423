"""The miniature's configuration as a dictionary that tests may change."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def demo() -> dict:
    return yaml.safe_load((Path(__file__).parents[2] / "config/demo.yaml").read_text(encoding="utf-8"))
