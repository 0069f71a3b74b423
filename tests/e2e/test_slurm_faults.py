"""Faults of a cluster, simulated on a real Slurm while an engine runs.

The batch is the translation of some hundred sentences by vLLM, which is slow enough to be interrupted. The row store
shows that no request was sent twice: it has each completion once.
"""

import contextlib
import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from slurm_cluster import Cluster, SlurmRun, slow_batch, wait_for

from polypref.running.slurm_executor import SILENT

pytestmark = pytest.mark.slurm

BATCH = "translate/strong"
TARGET = f"results/completions/{BATCH}.parquet"


def wait_for_rows(run: SlurmRun, rows: int, other_than: str | None = None) -> str:
    """Wait until a job of the batch (but not ``other_than``) has stored some more rows, and return its id."""
    before = run.rows_in_store(BATCH)

    def running_job() -> str | None:
        job = run.cluster.running(run.folder, "translate_strong")
        return job if job and job != other_than and run.rows_in_store(BATCH) >= before + rows else None

    return wait_for(running_job, 400)


def writers(job: str) -> list[psutil.Process]:
    """Find the processes of a job that write completions."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if process.environ().get("SLURM_JOB_ID") == job and re.search(r"scripts/\S*complete\.py$", line):
                found.append(process)
    return found


def suspend(job: str) -> list[psutil.Process]:
    """Suspend the processes of a job that write completions, and return them."""
    suspended = writers(job)
    assert suspended, f"job {job} writes no completions"
    for process in suspended:
        process.suspend()
    return suspended


def states(run: SlurmRun, what: str = "translate_strong") -> list[str]:
    return [job["JobState"] for job in run.cluster.jobs(run.folder) if what in job["Comment"]]


def test_a_cancelled_job_a_failed_node_and_a_controller_that_does_not_respond(
    cluster: Cluster, fresh, tmp_path: Path
) -> None:
    run = slow_batch(cluster, fresh, rows=600)
    started = run.start(TARGET)
    first = wait_for_rows(run, 20)
    cluster.run("scancel", first)
    second = wait_for_rows(run, 20, other_than=first)
    try:
        cluster.kill_node(cluster.node_of(second))
        wait_for_rows(run, 20, other_than=second)
        cluster.restart_controller(away_s=60)  # five calls of squeue fail in the meantime
        output = run.finish(started)
    finally:
        cluster.up()

    assert output.count(SILENT) == 1 and "Slurm responds again." in output
    assert states(run) == ["CANCELLED", "NODE_FAIL", "COMPLETED"]
    assert len({job["NodeList"] for job in cluster.jobs(tmp_path)[-2:]}) == 2, "the last attempt is on another node"
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"] >= 600, "each row is stored once"
    assert cost["runs"][-1]["reused"] >= 40
    for job in (first, second):
        assert f"SLURM-job '{job}' failed" in output, "one message per failure"


def test_retries_request_more_time_and_memory(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=300, hours=1 / 30)
    # the first attempt has half of the memory that it needs: vLLM fills its cache when it starts
    weak = run.config["checkpoints"]["weak"]
    weak["runtime"] |= {"memory_gb": 1, "kv_cache_gb": 1, "hours": 0.5, "max_num_seqs": 64}
    run.config["wmt"]["translators"].append("weak")
    started = run.start(TARGET, TARGET.replace("strong", "weak"))
    suspend(wait_for_rows(run, 60))  # so that this job exceeds its time limit on any machine
    run.finish(started)

    late, again = [job for job in cluster.jobs(tmp_path) if "translate_strong" in job["Comment"]][:2]
    assert late["JobState"] == "TIMEOUT" and late["TimeLimit"] == "00:02:00"
    assert again["TimeLimit"] == "00:04:00"
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"] >= 300, "each row is stored once"
    assert cost["runs"][-1]["reused"] > 50, "the retry reuses the row store"

    big = [job for job in cluster.jobs(tmp_path) if "translate_weak" in job["Comment"]]
    assert big[0]["JobState"] != "COMPLETED" and big[-1]["JobState"] == "COMPLETED"
    assert [job["MinMemoryNode"] for job in big] == [f"{i}000M" for i in range(1, len(big) + 1)]


def test_a_killed_snakemake_is_started_again(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=200)
    killed = run.start(TARGET)
    first = wait_for_rows(run, 20)
    suspended = suspend(first)  # so that this job still runs on any machine when the next one starts
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()

    run.run("--unlock")
    started = run.start(TARGET)
    second = wait_for(lambda: next((j["JobId"] for j in cluster.jobs(tmp_path)[1:]), None), 400)
    log = tmp_path / f"logs/slurm/rule_complete_on_gpu/translate_strong/{second}.log"
    wait_for(lambda: log.exists() and "waiting for process" in log.read_text(), 400)
    assert cluster.running(tmp_path, "translate_strong"), "the first job must still be running"
    for process in suspended:
        process.resume()
    output = run.finish(started)

    assert re.search(
        rf"earlier run in this folder are still running.*\n  {first}  running  complete_on_gpu translate_strong",
        output,
    )
    # the first job may end after the second, which can continue as soon as the first has stored its completions
    wait_for(lambda: "RUNNING" not in states(run))
    assert states(run) == ["COMPLETED", "COMPLETED"]
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"] >= 200, "each row is stored once"
    starts = [json.loads(line) for line in (tmp_path / f"results/store/{BATCH}/runs.jsonl").read_text().splitlines()]
    assert sum(start["engine_starts"] for start in starts) == 1, "the completions of the first job are reused"
    assert sum(start["answered"] for start in starts) == cost["unique_requests"]


def test_a_failure_is_reported_with_job_state_log_and_remedy(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=300)
    weak = run.config["checkpoints"]["weak"]
    run.config["checkpoints"]["weak"] = {
        **weak,
        "runtime": {**weak["runtime"], "gpus": 64},
    }  # more than the cluster has
    run.config["wmt"]["translators"].append("weak")
    started = run.start("--retries", "0", TARGET, TARGET.replace("strong", "weak"))
    job = wait_for_rows(run, 20)
    cluster.run("scancel", job)
    output = run.finish(started, check=False)

    log = f"{tmp_path}/logs/slurm/rule_complete_on_gpu/translate_strong/{job}.log"
    assert started.returncode == 1
    cancelled = output.split(f"complete_on_gpu translate strong: Slurm job {job}, CANCELLED\n")[1].split("\n\n")[0]
    assert "it was cancelled, by scancel or an administrator" in cancelled
    assert "the same command continues from there" in cancelled and f"log    {log}" in cancelled
    assert "complete_on_gpu" in output.split("not submitted")[0].splitlines()[-1]
    assert "Slurm rejected it" in output and "in the profile" in output
    assert run.rows_in_store(BATCH) >= 20 and not (tmp_path / TARGET).exists()

    run.run(TARGET)
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"], "the same command resumes the batch"
    assert cost["runs"][-1]["reused"] >= 20
