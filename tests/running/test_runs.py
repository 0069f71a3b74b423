"""Statistics of engine runs: they are summed, and truncated records are skipped."""

import json

from full_disk import room_for

from polypref.running.runs import RUNS, cost_so_far, new_run, read_runs, record_run, spent_so_far

LAST = dict.fromkeys(("requests", "unique_requests", "reused", "errors"), 0)


def run_of(**figures) -> dict:
    return {**new_run(), "engine_starts": 1, **figures}


def test_gpu_time_counts_every_gpu_that_a_batch_holds(tmp_path):
    for gpus in (4, 1):
        record_run(tmp_path, run_of(start_seconds=30.0, seconds=70.0, gpus=gpus))
    assert cost_so_far(tmp_path, "answer", "m", "vllm", LAST)["gpu_seconds"] == 500


def test_a_run_without_an_engine_is_not_recorded(tmp_path):
    record_run(tmp_path, run_of(engine_starts=0))
    assert not (tmp_path / RUNS).exists()


def test_a_truncated_line_is_skipped(tmp_path):
    """Regression: a batch could not continue if its last run had filled the disk and left invalid JSON."""
    whole = json.dumps(run_of(cost_usd=1.5))
    (tmp_path / RUNS).write_text(f"{whole}\n{whole[:40]}")
    assert spent_so_far(tmp_path, 0.0) == 1.5
    record_run(tmp_path, run_of(cost_usd=2.0))
    assert [run["cost_usd"] for run in read_runs(tmp_path / RUNS)] == [1.5, 2.0]
    assert cost_so_far(tmp_path, "answer", "m", "vllm", LAST)["cost_usd"] == 3.5


def test_a_full_disk_preserves_the_statistics_of_earlier_runs(tmp_path):
    """Regression: the error about the full disk hid the error that had stopped the batch."""
    record_run(tmp_path, run_of(cost_usd=1.5))
    messages = []
    with room_for((tmp_path / RUNS).stat().st_size + 20):
        record_run(tmp_path, run_of(), messages.append)
    assert [run["cost_usd"] for run in read_runs(tmp_path / RUNS)] == [1.5]
    assert len(messages) == 1 and "cannot be saved (File too large)" in messages[0]
