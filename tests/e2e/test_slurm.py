"""profiles/slurm on a real Slurm: what is asked for arrives, and a GPU job is one Slurm job."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]
UP, DOWN = ROOT / "tests/slurm/up.sh", ROOT / "tests/slurm/down.sh"
# other names than profiles/slurm has: it must serve another cluster with a change of itself alone
PARTITIONS = {"cpu": "standard", "gpu": "accelerated"}
GPU_TYPE = "a100"

# Two batches that need an engine each, and one thing that is made on the login node.
SNAKEFILE = """
localrules: all
rule all:
    input: expand("{i}.txt", i=[1, 2])
rule complete:
    output: "{i}.txt"
    threads: 1
    resources: gpu=1, mem_mb=600, runtime=5, engine=1
    shell: "scontrol show job $SLURM_JOB_ID > {output}; echo DEVICES=$CUDA_VISIBLE_DEVICES >> {output}; sleep 3"
"""


def run(command: list[object], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], env=env, cwd=cwd, timeout=240, check=False, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Bring up two nodes with two declared GPUs each.

    Yields
    ------
    The environment in which Slurm's programs talk to this cluster.
    """
    folder = tmp_path_factory.mktemp("slurm", numbered=True)
    settings = {
        "SLURM_TEST_CPU_PARTITION": PARTITIONS["cpu"],
        "SLURM_TEST_GPU_PARTITION": PARTITIONS["gpu"],
        "SLURM_TEST_GPU_TYPE": GPU_TYPE,
        "SLURM_TEST_PORT": "17817",
    }
    started = run([UP, folder], os.environ | settings, ROOT)
    try:
        assert started.returncode == 0, started.stderr
        bins = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": os.pathsep.join(bins)}
    finally:
        run([DOWN, folder], dict(os.environ), ROOT)


def edited_profile(folder: Path) -> Path:
    """Copy profiles/slurm and edit it as its comments say: names of this cluster, and no accounting database."""
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    for pattern, replacement in {
        r"^(  slurm_partition:) cpu$": rf"\1 {PARTITIONS['cpu']}",
        r"^(    slurm_partition:) gpu$": rf"\1 {PARTITIONS['gpu']}",
        r"^(    gpu_model:) h100$": rf"\1 {GPU_TYPE}",
        r"^# (slurm-status-command: squeue)$": r"\1",
        r"^(slurm-init-seconds-before-status-checks:) .*$": r"\1 5",
    }.items():
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, f"profiles/slurm/config.yaml has no line like {pattern}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(text)
    return folder


def test_gpu_batches_arrive_as_declared(cluster: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/default").symlink_to(ROOT / "profiles/default")
    profile = edited_profile(tmp_path / "profiles/slurm")

    done = run(["snakemake", "--profile", profile], cluster, tmp_path)

    assert done.returncode == 0, done.stderr
    jobs = [(tmp_path / f"{i}.txt").read_text() for i in (1, 2)]
    for job in jobs:
        assert f"Partition={PARTITIONS['gpu']}" in job
        assert f"TresPerJob=gres:gpu:{GPU_TYPE}:1" in job
        assert "TimeLimit=00:05:00" in job
        assert "mem=600M" in job
        assert re.search(r"^DEVICES=\d$", job, re.MULTILINE), "Slurm gave the job no device"
    assert len({re.search(r"JobId=(\d+)", job)[1] for job in jobs}) == 2, "each batch is a job of its own"

    first_end, last_start = done.stderr.index("Finished jobid"), done.stderr.rindex("has been submitted")
    assert last_start < first_end, "profiles/default limits one machine to one engine, and must not limit the cluster"
    assert list((tmp_path / "logs/slurm").rglob("*.log")), "Slurm's logs are kept in logs/slurm"
