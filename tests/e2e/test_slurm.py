"""profiles/slurm on a real Slurm: jobs get the resources that they request, and secrets reach them without a trace."""

import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from model_server import Server, good
from slurm_cluster import ACCOUNT, DOWN, GPU_TYPE, PARTITIONS, ROOT, UP, Cluster, SlurmRun, rehearsed, wait_for

pytestmark = pytest.mark.slurm

# Two batches with GPUs, one without, and a job that is killed while it writes its output.
SNAKEFILE = """
localrules: all
rule all:
    input: expand("{i}.txt", i=[1, 2]), "cpu.txt", "half.txt"
rule complete_on_gpu:
    output: "{i}.txt"
    threads: 1
    resources: gpu=1, mem_mb=600, runtime=5, engine=1, cpus_per_task=2
    shell: "scontrol show job $SLURM_JOB_ID > {output}; echo DEVICES=$CUDA_VISIBLE_DEVICES >> {output}; sleep 3"
rule complete:
    output: "cpu.txt"
    resources: gpu=0, mem_mb=600, engine=1
    shell: "scontrol show job $SLURM_JOB_ID > {output}"
rule half:
    output: "half.txt"
    resources: mem_mb=600, attempt=lambda wildcards, attempt: attempt
    shell: "python half.py {output} {resources.attempt}"
"""
HALF = """
import sys, time
from pathlib import Path
from polypref.files.tables import atomic_write
with atomic_write(sys.argv[1], "w") as file:
    file.write("first half, ")
    file.flush()
    if sys.argv[2] == "1":
        Path("half.ready").touch()
        time.sleep(600)
    file.write("second half")
"""


def test_jobs_get_their_resources_and_leave_no_partial_output(cluster: Cluster, tmp_path: Path) -> None:
    run = SlurmRun(cluster, tmp_path, {})
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "half.py").write_text(HALF)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/default").symlink_to(ROOT / "profiles/default")
    run.secrets = {"PYTHONPATH": str(ROOT / "workflow/scripts")}

    started = run.start(snakefile=tmp_path / "Snakefile")
    wait_for((tmp_path / "half.ready").exists)
    cluster.run("scancel", "--full", "--signal=KILL", cluster.running(tmp_path, "rule_half"))
    wait_for(lambda: not cluster.running(tmp_path, "rule_half"))
    assert not (tmp_path / "half.txt").exists(), "a partial output must not remain"
    output = run.finish(started)

    jobs = [(tmp_path / f"{i}.txt").read_text() for i in (1, 2)]
    for job in jobs:
        assert f"Partition={PARTITIONS['gpu']}" in job and f"Account={ACCOUNT}" in job
        assert f"TresPerJob=gres:gpu:{GPU_TYPE}:1" in job
        assert "TimeLimit=00:05:00" in job
        assert "mem=600M" in job
        assert "CPUs/Task=2" in job, (
            "cpus_per_task, and not `threads`, which Snakemake caps at the cores of the login node"
        )
        assert re.search(r"^DEVICES=\d$", job, re.MULTILINE), "Slurm assigned no GPU to the job"
    assert len({re.search(r"JobId=(\d+)", job)[1] for job in jobs}) == 2, "each batch is a separate job"
    on_cpu = (tmp_path / "cpu.txt").read_text()
    assert f"Partition={PARTITIONS['cpu']}" in on_cpu and f"Account={ACCOUNT}" in on_cpu
    assert "gpu" not in on_cpu.replace("complete_on_gpu", "")
    assert (tmp_path / "half.txt").read_text() == "first half, second half"

    first_end, last_start = output.index("Finished jobid"), output.rindex("has been submitted")
    assert output.count("has been submitted", 0, first_end) >= 4 or last_start < first_end, (
        "the limit of one engine per machine in profiles/default must not apply to the cluster"
    )
    assert list((tmp_path / "logs/slurm").rglob("*.log")), "Slurm's log files are in logs/slurm"


MARKERS = {"HF_TOKEN": "hf_MARKERmarker0001", "MY_API_KEY": "sk-MARKERmarker0002"}


def files_with(folder: Path, secret: str) -> list[Path]:
    """Find files with a secret below a folder, in plain text or in the encoding of Snakemake's arguments."""
    import base64

    forms = [secret.encode(), *(base64.b64encode(b"x" * i + secret.encode())[4:-4] for i in range(3))]
    files = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return [f for f in files if f.is_file() and any(form in f.read_bytes() for form in forms)]


def test_api_batches_get_no_gpus_and_secrets_reach_only_the_jobs(cluster: Cluster, fresh, tmp_path: Path) -> None:
    server = Server(lambda number, body: good("gut"))
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    config = rehearsed(fresh.config)
    config["languages"] = ["en", "de"]
    config["wmt"]["translators"] = ["api", "weak"]
    config["models"] = {"api": {"checkpoint": "api", "prompt": "instruct", "decoding": {"max_tokens": 20}}}
    config["checkpoints"]["api"] = {
        "engine": "openai", "path": "m", "base_url": f"http://127.0.0.1:{server.server_address[1]}/v1",
        "api_key_env": "MY_API_KEY", "license": "MIT", "runtime": {"memory_gb": 2, "hours": 0.5},
    }  # fmt: skip
    run = SlurmRun(cluster, tmp_path, config, MARKERS)

    output = run.run(*(f"results/completions/translate/{name}.parquet" for name in ("api", "weak")))
    server.shutdown()

    jobs = {job["Comment"]: job for job in cluster.jobs(tmp_path)}
    api, weak = (jobs[f"rule_{rule}_wildcards_translate_{name}"] for rule, name in
                 (("complete", "api"), ("complete_on_gpu", "weak")))  # fmt: skip
    assert api["Partition"] == PARTITIONS["cpu"] and "TresPerJob" not in api
    assert weak["Partition"] == PARTITIONS["gpu"] and weak["TresPerJob"] == f"gres:gpu:{GPU_TYPE}:1"

    assert {key for key, _ in server.seen} == {f"Bearer {MARKERS['MY_API_KEY']}"}, "the key reaches the API"
    shown = output + cluster.run("scontrol", "show", "job", "-dd")
    for secret in MARKERS.values():
        assert secret not in shown
        assert not files_with(tmp_path, secret), "the secret must not be in any file of the run"
        assert not files_with(cluster.folder / "log", secret)


def test_the_example_partitions_are_selected_by_the_resources_of_a_job(tmp_path: Path) -> None:
    import logging
    from types import SimpleNamespace

    from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

    partitions = read_partition_file(ROOT / "profiles/slurm/partitions.yaml")

    def partition_for(threads: int = 1, **resources: object) -> str | None:
        job = SimpleNamespace(name="job", threads=threads, resources={"nodes": 1, **resources})
        return get_best_partition(partitions, job, logging.getLogger())

    assert partition_for(runtime=30, mem_mb=4000) == "cpu"
    assert partition_for(runtime=360, mem_mb=2000, gpu=0) == "cpu", "a batch of an API must not use a GPU node"
    assert partition_for(8, runtime=240, mem_mb=64_000, gpu=1) == "gpu-short"
    assert partition_for(8, runtime=720, mem_mb=64_000, gpu=1) == "gpu-long"
    assert partition_for(64, runtime=1440, mem_mb=512_000, gpu=8) == "gpu-long"
    assert partition_for(8, runtime=240, mem_mb=64_000, gpu=1, gpu_model="h100", constraint="gpu80g") == "gpu-long"


def test_a_port_in_use_is_reported_immediately(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("port")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        env = os.environ | {"SLURM_TEST_PORT": str(other.getsockname()[1])}
        try:
            done = subprocess.run([UP, folder], env=env, capture_output=True, text=True, timeout=60)
        finally:
            subprocess.run([DOWN, folder], check=True)
    assert done.returncode == 1 and "Address already in use" in done.stderr
