"""The error of loading a configuration that is not valid."""

from pathlib import Path

import pytest

from polypref.config.loading import ConfigError, load_config

ROOT = Path(__file__).parents[2]


def error_of(raw: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(raw, ROOT)
    return str(caught.value)
