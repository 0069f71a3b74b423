"""Resources of models on a cluster, compared with manual calculations."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight import sizes
from polypref.preflight.estimating import longest_requests

ROOT = Path(__file__).parents[2]


def plan(name: str = "config", **training: object) -> Plan:
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    config["training"] |= training
    return Plan(load_config(config, ROOT), read_languages(ROOT))


def longest(paper: Plan) -> dict[tuple[str, str], tuple[int, int]]:
    return longest_requests(paper, Path("/nonexistent"))


def test_engines_need_more_memory_than_their_weights():
    paper = plan()
    rows = {row["what"]: row for row in sizes.batch_sizes(paper, longest(paper))}
    command_r = rows["command-r-35b"]  # 35B parameters of two bytes on two GPUs
    assert (command_r["weights_gb"], command_r["gpus"]) == (70, 2)
    assert 35 + 3 < command_r["gpu_gb"] < 80, "half of the weights, the reserve, and the cache"
    assert "gpt-4o" not in rows, "an API needs no GPU"


@pytest.mark.parametrize(
    ("changes", "offloaded"),
    [
        ({}, 8 * 12),  # 8B parameters: AdamW's states are 12 bytes, and offloaded to the memory of one node
        ({"ref_offload": True}, 8 * (12 + 2)),
        ({"adam_offload": False}, 0),
        ({"lora": {"rank": 16}}, 0),
    ],
)
def test_offloaded_memory_of_training(changes, offloaded):
    row = sizes.training_size(plan(**changes))
    assert row["offloaded_gb"] == pytest.approx(offloaded)


def test_the_table_lists_every_model_and_is_empty_on_cpu():
    paper, demo = plan(), plan("demo")
    text = sizes.table(paper, longest(paper))
    assert "x-alma-group1" in text and "training aya-23-8b" in text and "training uses 96 GB" in text
    assert sizes.table(demo, longest(demo)) == ""


def test_the_documentation_contains_the_printed_table():
    paper = plan()
    *printed, _ = sizes.table(paper, longest(paper)).splitlines()
    assert "\n".join(printed) in (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
