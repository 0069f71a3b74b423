"""Every request belongs to exactly one shard, every shard has its own GPUs, and a failed shard is reported."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.config.sections import Checkpoint
from polypref.files.digests import digest
from polypref.requests import sharding

CHECKPOINT = Checkpoint(engine="vllm", path="owner/name")

STAND_IN = """
import json, os, sys
(shard,) = json.load(sys.stdin)
devices = os.environ.get("CUDA_VISIBLE_DEVICES")
if shard["index"] != {fails}:
    outcome = f"{{shard['store']}}/shard-{{shard['index'] + 1}}-of-{{shard['count']}}.json"
    with open(outcome, "w") as file:
        json.dump({{"run": {{"devices": devices, "log": shard["log"]}}, "errors": []}}, file)
"""


def shards(folder: Path, count: int) -> list[sharding.Shard]:
    return sharding.split(count, ["requests"], folder, CHECKPOINT, "translate/m", str(folder / "translate.m.log"))


@pytest.fixture
def stand_in(monkeypatch):
    """Replace the process that starts an engine with a program that reports its visible GPUs."""

    def use(fails: int = -1) -> None:
        monkeypatch.setattr(sharding, "_command", lambda *_: [sys.executable, "-c", STAND_IN.format(fails=fails)])

    return use


@given(st.integers(1, 9), st.lists(st.text(), max_size=30))
def test_every_request_belongs_to_one_shard(count, texts):
    parts = shards(Path("store"), count)
    for text in texts:
        assert sum(shard.owns(digest("request", text, length=32)) for shard in parts) == 1


@pytest.mark.parametrize(
    ("visible", "gpus", "expected"),
    [
        (None, 2, ["0,1", "2,3", "4,5"]),
        ("4,5,6", 1, ["4", "5", "6"]),
        ("GPU-a,GPU-b,GPU-c", 1, ["GPU-a", "GPU-b", "GPU-c"]),
        (None, 0, [None, None, None]),
    ],
)
def test_every_shard_has_its_own_gpus(tmp_path, monkeypatch, stand_in, visible, gpus, expected):
    stand_in()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    outcomes = [outcome for _, outcome in sharding.run_shards(shards(tmp_path, 3), gpus)]
    assert [outcome["run"]["devices"] for outcome in outcomes] == expected
    assert len({outcome["run"]["log"] for outcome in outcomes}) == 3
    assert not list(tmp_path.glob("shard-*"))


def test_a_failed_shard_has_no_outcome_and_an_outcome_of_an_earlier_run_is_ignored(tmp_path, stand_in):
    stand_in(fails=1)
    parts = shards(tmp_path, 2)
    parts[1].finish({"of": "an earlier run"}, [])
    assert [outcome is None for _, outcome in sharding.run_shards(parts, 0)] == [False, True]
