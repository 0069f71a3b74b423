"""Estimates use existing requests, else the configuration, and measured throughput, else assumed throughput."""

import json
import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from polypref.config.loading import load_config, read_languages
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.plan.plan import Plan
from polypref.preflight.actual_cost import compared, measured_costs, measured_training
from polypref.preflight.estimating import (
    PREFILL,
    SEARCH_SHARE,
    START_HOURS,
    disk_gb,
    estimate_batches,
    estimate_training,
    implied,
    longest_requests,
    table,
    throughput,
    token_cost,
    tokens_in,
)
from polypref.requests.asking import RequestSettings
from polypref.requests.generate import ask_responses

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Plan:
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def rows_of(plan, results=Path("none"), costs=None) -> dict:
    return {(row["task"], row["checkpoint"]): row for row in estimate_batches(plan, results, costs or {})}


def test_counts_that_the_configuration_implies(plan):
    rows = rows_of(plan)
    assert rows["answer", "base"]["requests"] == 9 * 150
    assert rows["judge", "qwen2.5-32b"]["requests"] == 4 * 9 * 150 * 3 * 2 + 9 * 20 * 3, (
        "policies, languages, prompts, opponents, orders; and the sanity set: languages, prompts, comparisons"
    )
    assert rows["generate", "command-r-35b"]["requests"] == 9 * 1250
    assert rows["translate", "gpt-4o"]["requests"] == 8 * 960 and rows["translate", "gpt-4o"]["cost_usd"] > 0
    assert not rows["answer", "base"]["counted"] and not rows["answer", "base"]["measured"]


def test_existing_requests_and_measured_throughput_replace_assumptions(plan, tmp_path):
    asked = RequestSettings("base", "o/n", None, False, {"max_tokens": 8})
    items = [{"item_id": str(n), "prompt": "four" * 10 + str(n)} for n in range(5)]
    for stem in plan.batches()["answer", "base"]:
        write_table(tmp_path / f"requests/answer/{stem}.parquet", ask_responses(items, asked, "en"), REQUESTS)
    cost = {"task": "answer", "checkpoint": "base", "completion_tokens": 9_000, "seconds": 9.0, "start_seconds": 60.0,
            "unique_requests": 45, "cost_usd": 0.0, "answered": 45, "engine_starts": 2}  # fmt: skip
    (tmp_path / "completions/answer").mkdir(parents=True)
    (tmp_path / "completions/answer/base.cost.json").write_text(json.dumps(cost))
    row = rows_of(plan, tmp_path, measured_costs(tmp_path))["answer", "base"]
    assert row["requests"] == 45 and row["counted"] and row["measured"]
    assert row["output_tokens"] == 9_000, "200 tokens per answer, as measured"
    assert row["hours"] == pytest.approx((30 + 9) / 3600), "one start of 30 s, 1000 tokens/s"
    assert longest_requests(plan, tmp_path)["answer", "base"] == (tokens_in(items[0]["prompt"]) + 8, 2048)
    (side,) = [r for r in compared(plan, measured_costs(tmp_path)) if r["checkpoint"] == "base"]
    assert (side["estimated_requests"], side["requests"], side["tokens"]) == (1350, 45, 9_000)


def test_a_finished_training_is_compared_with_the_estimate_and_improves_the_next(plan, tmp_path):
    for name, seconds in (("A", 900.0), ("B", 600.0)):
        (tmp_path / f"policies/{name}").mkdir(parents=True)
        (tmp_path / f"trained/d{name}").mkdir(parents=True)
        (tmp_path / f"policies/{name}/policy.json").write_text(json.dumps({"digest": f"d{name}", "rows": 10_000}))
        (tmp_path / f"trained/d{name}/run.json").write_text(json.dumps({"seconds": seconds, "processes": 8}))
    trained = measured_training(plan, tmp_path)
    rows = {row["checkpoint"]: row for row in compared(plan, {}, trained) if row["task"] == "train"}
    assert (rows["A"]["requests"], rows["A"]["hours"], rows["C"]["hours"]) == (10_000, 0.25, None)
    assert rows["A"]["gpu_hours"] == 0.25 * 8
    assert rows["A"]["estimated_requests"] == 9 * 1250 and rows["A"]["estimated_hours"] > 0
    next_one = estimate_training(plan, trained)
    assert next_one["measured"] and next_one["hours"] == pytest.approx(3 * 9 * 1250 * 1500 / 20_000 / 3600)
    text = table([], next_one, 0.0, None)
    assert "measured" in text.split("training")[1].split("total")[0]


def test_a_slower_gpu_takes_longer_in_proportion():
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    fast, slow = (
        Plan(load_config({**raw, "runtime": {"gpu_tflops": peak}}, ROOT), read_languages(ROOT)) for peak in (400, 100)
    )
    assert estimate_training(slow)["hours"] == pytest.approx(4 * estimate_training(fast)["hours"])
    hours = [rows_of(plan)["answer", "base"]["hours"] - 0.05 for plan in (fast, slow)]
    assert hours[1] == pytest.approx(4 * hours[0])


def test_training_and_disk(plan):
    training = estimate_training(plan)
    assert training["pairs"] == 3 * 9 * 1250 and training["hours"] == pytest.approx(training["gpu_hours"] / 8)
    assert 300 < disk_gb(plan) < 500
    text = table(list(rows_of(plan).values()), training, disk_gb(plan), 100.0)
    assert "judge/qwen2.5-32b" in text and "assumed" in text and "Assumptions unless measured" in text


def test_a_million_prompts_in_100_languages():
    """The configuration of docs/scale.md: eight engines at once divide the hours, and the columns stay aligned."""
    raw = {}
    for name in ("config", "scale"):
        update_config(raw, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8")))
    plan = Plan(load_config(raw, ROOT), read_languages(ROOT))
    assert len(plan.config.all_languages) == 100 and plan.wmt_languages("nllb-200-3.3b")
    rows = estimate_batches(plan, Path("none"), {})
    one = {row["checkpoint"]: row for row in rows}["nllb-200-3.3b"]
    assert one["hours"] == pytest.approx(one["gpu_hours"] / 8) and one["gpu_hours"] > 1e4
    assert one["requests"] > 99 * 3e6
    printed = table(rows, estimate_training(plan), disk_gb(plan), 100.0).split("\n\n")[0]
    assert printed in (ROOT / "docs/scale.md").read_text(encoding="utf-8"), "the page has what the command prints"
    head, line, *lines = printed.splitlines()
    assert set(line) == {"-"} and len({text.index("–") for text in lines if "–" in text}) == 1
    assert {len(text.split()) for text in lines[:-2]} == {8} == {len(re.split("  +", head))}


def test_each_use_of_a_batch_counts_its_own_beams_and_engine(plan):
    """X-ALMA's batches mix beam search and sampling: two engines, and only beam search costs five tokens each."""
    checkpoint = plan.config.checkpoints["x-alma-group2"]
    beams, sampled = (plan.config.models[name].decoding for name in ("x-alma-bs", "x-alma"))
    assert token_cost(checkpoint, sampled) == 1
    assert token_cost(checkpoint, beams) == pytest.approx(5 / SEARCH_SHARE)
    nllb = plan.config.models["nllb-200-3.3b"].decoding
    assert token_cost(plan.config.checkpoints["nllb-200-3.3b"], nllb) == 5
    rows = rows_of(plan)
    stems = plan.batches()["translate", "x-alma-group2"]
    written = {stem: implied(plan, "translate", stem) for stem in stems}
    work = sum(
        size[2] * (5 / SEARCH_SHARE if "x-alma-bs" in stem else 1) + size[1] / PREFILL
        for stem, size in written.items()
    )  # fmt: skip
    rate, _ = throughput(checkpoint, None)
    expected = 2 * START_HOURS + work / rate / 3600
    assert rows["translate", "x-alma-group2"]["hours"] == pytest.approx(expected, rel=1e-3)
