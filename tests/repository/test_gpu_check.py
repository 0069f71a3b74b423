"""`make gpu-check`: how it compares answers, what it prints of a part that failed, and its configuration for a GPU."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import gpu_check

    return gpu_check


def test_answers_are_compared_row_by_row(check):
    given = {"greedy": [["a", None], ["b", None]], "labels": [["A", {"A": -0.1, "B": -2.5}]], "new": [["c", None]]}
    expected = {"greedy": [["a", None], ["x", None]], "labels": [["A", {"A": -0.15, "B": -2.0}]]}
    assert check.comparison(given, expected) == [
        ["greedy", "2", "1", ""], ["labels", "1", "1", "0.500"], ["new", "1", "not compared", ""],
    ]  # fmt: skip


def test_a_part_that_failed_is_named_and_the_others_are_shown(check):
    found = {
        "vllm": {"fault": check.last_words("Traceback\n  File x\nRuntimeError: no | GPU\nmore"), "seconds": 2.0},
        "dpo": {"ran": "1 step", "seconds": 30.4},
    }
    page = check.page(found, {}, "a card")
    assert "| vllm | **failed**: RuntimeError: no \\| GPU | 2 |" in page and "| dpo | 1 step | 30 |" in page


def test_on_a_gpu_every_model_of_the_miniature_is_on_it(check, tmp_path):
    from polypref.config.loading import load_config, read_languages
    from polypref.plan.needs import gpu_batches
    from polypref.plan.plan import Plan

    plan = Plan(load_config(check.gpu_parts.miniature_config(False, tmp_path), ROOT), read_languages(ROOT))
    assert set(gpu_batches(plan)) == {f"{task}/{name}" for task, name in plan.batches()}
    assert {plan.config.checkpoints[plan.batch_checkpoint(*batch)].engine for batch in plan.batches()} == {
        "vllm", "seq2seq",
    }  # fmt: skip
    assert plan.config.training.runtime.launcher == "deepspeed" and plan.config.training.zero_stage == 2
