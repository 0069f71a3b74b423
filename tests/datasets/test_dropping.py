"""Presets of flags."""

import pytest

from polypref.config.diagnostics import Diagnostics
from polypref.datasets.diagnostics import FLAGS


def test_presets():
    flags = {name: Diagnostics(drop=name).dropped_flags for name in ("none", "broken", "strict")}
    assert flags["none"] == Diagnostics().dropped_flags == ["chosen_equals_rejected"]
    assert flags["strict"] == sorted(FLAGS)
    kinds = {flag.split("_", 1)[1] for flag in flags["broken"]}
    assert kinds == {"equals_rejected", "wrong_language", "truncated", "repeats"} and len(flags["broken"]) == 10
    assert Diagnostics(drop=["prompt_repeats"]).dropped_flags == ["prompt_repeats"]
    with pytest.raises(ValueError, match="broken"):
        Diagnostics(drop="brocken")
