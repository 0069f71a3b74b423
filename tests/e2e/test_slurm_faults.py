"""What happens to batches on a cluster, tried on a real Slurm: each fault in the middle of a real engine's work.

The batch is the translation of some hundred sentences by vLLM, slow enough to be hit. That nothing is asked twice is
read off the row store: it holds each answer once.
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

from polypref.running.slurm import SILENT

pytestmark = pytest.mark.slurm

BATCH = "translate/strong"
TARGET = f"results/completions/{BATCH}.parquet"


def answered(run: SlurmRun, rows: int, other_than: str | None = None) -> str:
    """Wait until a job of the batch other than one before runs and has stored some rows more; returns its id."""
    before = run.rows_in_store(BATCH)

    def one_is_at_work() -> str | None:
        job = run.cluster.running(run.folder, "translate_strong")
        return job if job and job != other_than and run.rows_in_store(BATCH) >= before + rows else None

    return wait_for(one_is_at_work, 400)


def writers(job: str) -> list[psutil.Process]:
    """The processes of a job that write answers."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if process.environ().get("SLURM_JOB_ID") == job and re.search(r"scripts/\S*complete\.py$", line):
                found.append(process)
    return found


def hang(job: str) -> list[psutil.Process]:
    """The processes of a job that write answers do nothing any more, until they are resumed."""
    hanging = writers(job)
    assert hanging, f"job {job} writes no answers"
    for process in hanging:
        process.suspend()
    return hanging


def states(run: SlurmRun, what: str = "translate_strong") -> list[str]:
    return [job["JobState"] for job in run.cluster.jobs(run.folder) if what in job["Comment"]]


def test_cancelled_then_its_node_dies_then_slurmctld_is_away(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=600)
    started = run.start(TARGET)
    first = answered(run, 20)
    cluster.run("scancel", first)
    second = answered(run, 20, other_than=first)
    try:
        cluster.kill_node(cluster.node_of(second))
        answered(run, 20, other_than=second)
        cluster.restart_controller(away_s=60)  # five squeues fail meanwhile
        output = run.finish(started)
    finally:
        cluster.up()

    assert output.count(SILENT) == 1 and "Slurm responds again." in output
    assert states(run) == ["CANCELLED", "NODE_FAIL", "COMPLETED"]
    assert len({job["NodeList"] for job in cluster.jobs(tmp_path)[-2:]}) == 2, "the last attempt is on another node"
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"] >= 600, "each row is there once"
    assert cost["runs"][-1]["reused"] >= 40
    for job in (first, second):
        assert f"SLURM-job '{job}' failed" in output, "one message per failure"


def test_out_of_time_and_out_of_memory_ask_for_more_at_the_retry(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=300, hours=1 / 60)
    # twice the memory that it needs at first: vLLM fills its cache as it starts
    weak = run.config["checkpoints"]["weak"]
    weak["runtime"] |= {"memory_gb": 1, "kv_cache_gb": 1, "hours": 0.5, "max_num_seqs": 64}
    run.config["wmt"]["translators"].append("weak")
    started = run.start(TARGET, TARGET.replace("strong", "weak"))
    hang(answered(run, 60))  # however fast the machine is, this job is over its time
    run.finish(started)

    late, again = [job for job in cluster.jobs(tmp_path) if "translate_strong" in job["Comment"]][:2]
    assert late["JobState"] == "TIMEOUT" and late["TimeLimit"] == "00:01:00"
    assert again["TimeLimit"] == "00:02:00"
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"] >= 300, "each row is there once"
    assert cost["runs"][-1]["reused"] > 50, "the retry goes on from the row store"

    big = [job for job in cluster.jobs(tmp_path) if "translate_weak" in job["Comment"]]
    assert big[0]["JobState"] != "COMPLETED" and big[-1]["JobState"] == "COMPLETED"
    assert [job["MinMemoryNode"] for job in big] == [f"{i}000M" for i in range(1, len(big) + 1)]


def test_snakemake_is_killed_and_started_again(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=600)
    killed = run.start(TARGET)
    first = answered(run, 20)
    hanging = hang(first)  # however fast the machine is, this job still runs when the next one starts
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()

    run.run("--unlock")
    started = run.start(TARGET)
    second = wait_for(lambda: next((j["JobId"] for j in cluster.jobs(tmp_path)[1:]), None), 400)
    log = tmp_path / f"logs/slurm/rule_complete_on_gpu/translate_strong/{second}.log"
    wait_for(lambda: log.exists() and "waiting for process" in log.read_text(), 400)
    assert cluster.running(tmp_path, "translate_strong"), "the first job runs on"
    for process in hanging:
        process.resume()
    output = run.finish(started)

    assert re.search(
        rf"earlier run in this folder are still running.*\n  {first}  running  complete_on_gpu translate_strong",
        output,
    )
    assert states(run) == ["COMPLETED", "COMPLETED"]
    cost = run.cost(BATCH)
    assert run.rows_in_store(BATCH) == cost["unique_requests"] >= 600, "each row is there once"
    starts = [json.loads(line) for line in (tmp_path / f"results/store/{BATCH}/runs.jsonl").read_text().splitlines()]
    assert sum(start["engine_starts"] for start in starts) == 1, "what the first job answered is not asked again"
    assert sum(start["answered"] for start in starts) == cost["unique_requests"]


def test_a_failure_is_told_with_job_state_log_and_what_to_do(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=600)
    weak = run.config["checkpoints"]["weak"]
    run.config["checkpoints"]["weak"] = {**weak, "runtime": {**weak["runtime"], "gpus": 64}}  # more than there are
    run.config["wmt"]["translators"].append("weak")
    started = run.start("--retries", "0", TARGET, TARGET.replace("strong", "weak"))
    job = answered(run, 20)
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
    assert run.rows_in_store(BATCH) == cost["unique_requests"], "the same command goes on"
    assert cost["runs"][-1]["reused"] >= 20
