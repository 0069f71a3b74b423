"""Jobs on several nodes of a real Slurm: the shards of a batch, and the processes of a training."""

import re
from pathlib import Path

import pytest
from slurm_cluster import GPU_TYPE, NODES, ROOT, Cluster, SlurmRun, slow_batch

pytestmark = pytest.mark.slurm

SNAKEFILE = """
localrules: all
rule all:
    input: "done.txt"
rule train_policy_on_gpu:
    output: "done.txt"
    # the resources in rules/training.smk for two nodes of two GPUs
    resources: gpu=4, nodes=2, mpi=0, mem_mb=1500, cpus_per_task=1, runtime=5
    shell: "python train.py {output}"
"""
# OpenRLHF itself needs CUDA for more than one process, so only its launcher and the connection are tested.
TRAIN = """
import os, sys
from pathlib import Path
from polypref.training import trainer
from polypref.config.training import Training
from polypref.running.slurm import job_nodes
settings = Training(base="x", runtime={"gpus": 2, "nodes": 2})
command = trainer.command(
    settings, model="m", data="d", output="o", checkpoints="c", port=23456, nodes=job_nodes(os.environ)
)
start = command[: command.index(str(trainer.LAUNCHER))]
trainer.run([*start, "probe.py"], Path.cwd(), Path("attempt.log"), lambda _: None)
Path("attempt.log").rename(sys.argv[1])
"""
PROBE = """
import os
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor(dist.get_rank())
dist.all_reduce(total)
node, devices = os.environ["SLURMD_NODENAME"], os.environ["CUDA_VISIBLE_DEVICES"]
print(f"rank {dist.get_rank()} of {dist.get_world_size()} on {node}, {devices}: {total}", flush=True)
dist.destroy_process_group()
"""


def test_the_processes_of_a_training_connect_across_two_nodes(cluster: Cluster, tmp_path: Path) -> None:
    for name, text in {"Snakefile": SNAKEFILE, "train.py": TRAIN, "probe.py": PROBE}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/default").symlink_to(ROOT / "profiles/default")
    run = SlurmRun(cluster, tmp_path, {}, {"PYTHONPATH": str(ROOT / "workflow/scripts")})
    run.run("--retries", "0", snakefile=tmp_path / "Snakefile")

    (job,) = cluster.jobs(tmp_path)
    assert job["NumNodes"] == "2" and job["TresPerJob"] == f"gres:gpu:{GPU_TYPE}:4"
    # processes that print at the same time may share a line
    ranks = re.findall(r"rank (\d) of 4 on (\w+), 0,1: (\d)", (tmp_path / "done.txt").read_text())
    assert sorted(rank for rank, _, _ in ranks) == ["0", "1", "2", "3"]
    assert {total for _, _, total in ranks} == {"6"}, "the sum of all ranks"
    assert sorted(node for _, node, _ in ranks) == sorted(NODES * 2)


def test_the_shards_of_a_batch_run_on_two_nodes(cluster: Cluster, fresh, tmp_path: Path) -> None:
    run = slow_batch(cluster, fresh, rows=120, shards=2, nodes=2, max_num_seqs=32)
    run.run("--retries", "0", "results/completions/translate/strong.parquet")

    (job,) = (job for job in cluster.jobs(tmp_path) if "translate_strong" in job["Comment"])
    assert job["NumNodes"] == "2" and job["TresPerJob"] == f"gres:gpu:{GPU_TYPE}:2"
    cost = run.cost("translate/strong")
    assert run.rows_in_store("translate/strong") == cost["unique_requests"] >= 120, "each row is stored once"
    assert cost["engine_starts"] == 2
    for node in NODES:
        log = (cluster.folder / f"log/slurmd.{node}.log").read_text()
        assert f"launch task StepId={job['JobId']}." in log, f"no shard was started on {node}"
    assert len(list((tmp_path / "results/logs/complete").glob("translate.strong.shard-*.log"))) == 2
