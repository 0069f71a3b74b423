"""What models take on a cluster, against sums done by hand."""

from pathlib import Path

import pytest
import yaml

from polypref import sizes
from polypref.config_checks import load_config, read_languages
from polypref.plan import Plan

ROOT = Path(__file__).parents[1]


def plan(name: str = "config", **training: object) -> Plan:
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    config["training"] |= training
    return Plan(load_config(config, ROOT), read_languages(ROOT))


def test_engines_need_their_weights_and_room_beside_them():
    rows = {row["what"]: row for row in sizes.batch_sizes(plan())}
    command_r = rows["command-r-35b"]  # 35B parameters of two bytes on two GPUs
    assert (command_r["weights_gb"], command_r["gpus"]) == (70, 2) and command_r["gpu_gb"] == pytest.approx(42)
    assert "gpt-4o" not in rows, "an API needs no GPU"


@pytest.mark.parametrize(
    ("changes", "on_gpu", "offloaded"),
    [
        # 8B parameters on 8 processes: weights, gradients and the reference's weights are 6 bytes, the states 12
        ({}, 8 * (2 + 2 + 2) / 8, 8 * 12),
        ({"adam_offload": False}, 8 * (2 + 2 + 2 + 12) / 8, 0),
        ({"adam_offload": False, "zero_stage": 2}, 8 * (2 + 2 + (2 + 12) / 8), 0),
        ({"adam_offload": False, "zero_stage": 0}, 8 * (2 + 2 + 2 + 12), 0),
        ({"adam_offload": False, "lora": {"rank": 16}}, 8 * (2 + 2) / 8, 0),
    ],
)
def test_training_shares_out_what_zero_shares_out(changes, on_gpu, offloaded):
    row = sizes.training_size(plan(**changes))
    assert row["gpu_gb"] == pytest.approx(on_gpu) and row["offloaded_gb"] == pytest.approx(offloaded)


def test_the_table_names_every_model_and_nothing_where_all_is_on_cpu():
    text = sizes.table(plan())
    assert "x-alma-group1" in text and "training aya-23-8b" in text and "96 GB of that" in text
    assert sizes.table(plan("demo")) == ""


def test_the_documentation_shows_the_table_as_it_is_printed():
    *printed, _ = sizes.table(plan()).splitlines()
    assert "\n".join(printed) in (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
