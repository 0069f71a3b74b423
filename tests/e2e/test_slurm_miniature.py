"""The miniature through Slurm, with engines and trainings as GPU jobs, gives the same bytes as without Slurm.

Only one of its architectures is run, which uses each kind of batch; all of them would take several minutes longer.
"""

import re
import time
from pathlib import Path

import pandas as pd
import pytest
from slurm_cluster import GPU_TYPE, PARTITIONS, Cluster, SlurmRun, rehearsed

pytestmark = pytest.mark.slurm

ARCHITECTURE = "C"
COMPARED = ("pairs.parquet", "requests", "translations", "responses", "datasets", "diagnostics", "answers", "verdicts")
"""All but the files that contain rows of several architectures."""


def read_results(results: Path) -> dict[str, bytes]:
    """Read the compared results of a run by name."""
    files = [file for name in COMPARED for file in [results / name, *(results / name).rglob("*")] if file.is_file()]
    return {str(file.relative_to(results)): file.read_bytes() for file in files}


def test_an_architecture_is_the_same_through_slurm(
    cluster: Cluster, miniature, fresh, tmp_path: Path, record_property
) -> None:
    config = rehearsed(fresh.config)
    config["architectures"] = {ARCHITECTURE: config["architectures"][ARCHITECTURE]}
    run = SlurmRun(cluster, tmp_path, config)
    began = time.monotonic()
    output = run.run()
    record_property("figures", f"an architecture of the miniature through Slurm took {time.monotonic() - began:.0f} s")

    without_slurm, with_slurm = read_results(miniature.results), read_results(run.results)
    assert with_slurm.keys() <= without_slurm.keys() and len(with_slurm) > 200
    assert [name for name in with_slurm if with_slurm[name] != without_slurm[name]] == []
    assert (run.results / "report/index.html").is_file()

    jobs = {job["Comment"].removeprefix("rule_"): job for job in cluster.jobs(tmp_path)}
    costs = sorted((run.results / "completions").glob("*/*.cost.json"))
    assert len(costs) == 9
    for cost in costs:
        batch = f"wildcards_{cost.parent.name}_{cost.name.removesuffix('.cost.json')}"
        (job,) = (job for name, job in jobs.items() if name.endswith(batch))
        gpus = {"nllb": 0, "judge": 2}.get(batch.split("_")[-1], 1)
        assert job["Partition"] == PARTITIONS["gpu" if gpus else "cpu"], batch
        assert job.get("TresPerJob") == (f"gres:gpu:{GPU_TYPE}:{gpus}" if gpus else None), batch
    training = jobs[f"train_policy_on_gpu_wildcards_{ARCHITECTURE}"]
    assert training["TresPerJob"] == f"gres:gpu:{GPU_TYPE}:1" and "mem=8000M" in training["TRES"]
    on_slurm = {name.split("_wildcards_")[0] for name in jobs}
    assert on_slurm == {"complete", "complete_on_gpu", "train_policy_on_gpu", "diagnose_pairs"}, (
        "all other jobs are local"
    )
    assert output.count("has been submitted") == len(cluster.jobs(tmp_path)) == 9 + 1 + 1, "each batch is one job"

    overhead = overheads(run, output, cluster.jobs(tmp_path))
    figure = f"the overhead of a batch on Slurm was {overhead.mean():.1f} s on average, at most {overhead.max():.1f} s"
    record_property("figures", figure)


def overheads(run: SlurmRun, output: str, jobs: list[dict[str, str]]) -> pd.Series:
    """Compute the seconds from a batch's start on Slurm to its end in Snakemake's log, minus those of its script."""
    started = {job["JobId"]: pd.Timestamp(job["StartTime"]) for job in jobs}
    pattern = r"^Job (\d+) has been submitted with SLURM jobid (\d+) \(log: .*/rule_complete\w*/(\w+)/\d+\.log"
    found = {}
    for number, job, batch in re.findall(pattern, output, re.MULTILINE):
        ended = re.search(rf"^\[(.*)\]\nFinished jobid: {number} ", output, re.MULTILINE)[1]
        work = pd.read_csv(run.results / f"benchmarks/complete/{batch.replace('_', '.', 1)}.tsv", sep="\t")["s"][0]
        found[batch] = (pd.Timestamp(ended) - started[job]).total_seconds() - work
    return pd.Series(found)
