"""Estimates: counts of the requests that exist, else of the configuration; measured throughput before assumed."""

import json
from pathlib import Path

import pytest
import yaml

from polypref.asking import Asked, ask_replies
from polypref.config_checks import load_config, read_languages
from polypref.estimating import (
    compared,
    disk_gb,
    estimate_batches,
    estimate_training,
    longest_requests,
    measured_costs,
    table,
    tokens_in,
)
from polypref.plan import Plan
from polypref.schemas import REQUESTS
from polypref.tables import write_table

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def plan() -> Plan:
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def rows_of(plan, results=Path("none"), costs=None) -> dict:
    return {(row["task"], row["checkpoint"]): row for row in estimate_batches(plan, results, costs or {})}


def test_counts_that_the_configuration_implies(plan):
    rows = rows_of(plan)
    assert rows["answer", "base"]["requests"] == 9 * 150
    assert rows["judge", "qwen2.5-32b"]["requests"] == 4 * 9 * 150 * 3 * 2, (
        "policies, languages, prompts, opponents, orders"
    )
    assert rows["generate", "command-r-35b"]["requests"] == 9 * 1250
    assert rows["translate", "gpt-4o"]["requests"] == 8 * 960 and rows["translate", "gpt-4o"]["cost_usd"] > 0
    assert not rows["answer", "base"]["counted"] and not rows["answer", "base"]["measured"]


def test_existing_requests_and_measured_throughput_count_first(plan, tmp_path):
    asked = Asked("base", "o/n", None, False, {"max_tokens": 8})
    items = [{"item_id": str(n), "prompt": "four" * 10 + str(n)} for n in range(5)]
    for stem in plan.batches()["answer", "base"]:
        write_table(tmp_path / f"requests/answer/{stem}.parquet", ask_replies(items, asked, "en"), REQUESTS)
    cost = {"task": "answer", "checkpoint": "base", "completion_tokens": 9_000, "seconds": 9.0, "start_seconds": 60.0,
            "unique_requests": 45, "cost_usd": 0.0}  # fmt: skip
    (tmp_path / "completions/answer").mkdir(parents=True)
    (tmp_path / "completions/answer/base.cost.json").write_text(json.dumps(cost))
    row = rows_of(plan, tmp_path, measured_costs(tmp_path))["answer", "base"]
    assert row["requests"] == 45 and row["counted"] and row["measured"]
    assert row["hours"] == pytest.approx(0.05 + row["output_tokens"] / 1000 / 3600)
    assert longest_requests(plan, tmp_path)["answer", "base"] == (tokens_in(items[0]["prompt"]) + 8, 2048)
    (side,) = [r for r in compared(plan, measured_costs(tmp_path)) if r["checkpoint"] == "base"]
    assert (side["estimated_requests"], side["requests"], side["tokens"]) == (1350, 45, 9_000)


def test_training_and_disk(plan):
    training = estimate_training(plan)
    assert training["pairs"] == 3 * 9 * 1250 and training["hours"] == pytest.approx(training["gpu_hours"] / 8)
    assert 300 < disk_gb(plan) < 500
    text = table(list(rows_of(plan).values()), training, disk_gb(plan), 100.0)
    assert "judge/qwen2.5-32b" in text and "assumed" in text and "Assumed where nothing was measured" in text
