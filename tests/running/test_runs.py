"""Figures of engine runs: they add up, and a file of them that was cut off stops nothing."""

import json

from full_disk import room_for

from polypref.running.runs import RUNS, cost_so_far, keep_run, new_run, read_runs, spent_so_far

LAST = dict.fromkeys(("requests", "unique_requests", "reused", "errors"), 0)


def run_of(**figures) -> dict:
    return {**new_run(), "engine_starts": 1, **figures}


def test_gpu_time_counts_every_gpu_that_a_batch_holds(tmp_path):
    for gpus in (4, 1):
        keep_run(tmp_path, run_of(start_seconds=30.0, seconds=70.0, gpus=gpus))
    assert cost_so_far(tmp_path, "answer", "m", "vllm", LAST)["gpu_seconds"] == 500


def test_a_run_without_an_engine_is_not_kept(tmp_path):
    keep_run(tmp_path, run_of(engine_starts=0))
    assert not (tmp_path / RUNS).exists()


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    """A batch whose last run had filled the disk could not go on: its figures were no JSON."""
    whole = json.dumps(run_of(cost_usd=1.5))
    (tmp_path / RUNS).write_text(f"{whole}\n{whole[:40]}")
    assert spent_so_far(tmp_path, {}) == 1.5
    keep_run(tmp_path, run_of(cost_usd=2.0))
    assert [run["cost_usd"] for run in read_runs(tmp_path / RUNS)] == [1.5, 2.0]
    assert cost_so_far(tmp_path, "answer", "m", "vllm", LAST)["cost_usd"] == 3.5


def test_a_full_disk_keeps_the_figures_of_earlier_runs(tmp_path):
    """It raised, and hid what had stopped the batch."""
    keep_run(tmp_path, run_of(cost_usd=1.5))
    said = []
    with room_for((tmp_path / RUNS).stat().st_size + 20):
        keep_run(tmp_path, run_of(), said.append)
    assert [run["cost_usd"] for run in read_runs(tmp_path / RUNS)] == [1.5]
    assert len(said) == 1 and "can't be kept (File too large)" in said[0]
