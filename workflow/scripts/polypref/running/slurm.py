"""Steps of a Slurm job on several nodes, and the jobs of a run that was killed; both use Slurm's own commands."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

ACTIVE = "PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING"
SQUEUE = ["squeue", "--me", "--noheader", f"--states={ACTIVE}", "--format=%i|%T|%r|%k|%Z"]
SECONDS = 30


def run_command(command: list[str]) -> str:
    """Run a Slurm command and return its standard output."""
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


# -- several nodes --------------------------------------------------------------------------------------------------


def job_nodes(environ: Mapping[str, str], run: Callable[[list[str]], str] = run_command) -> list[str]:
    """Names of the nodes of the current Slurm job; empty outside of Slurm.

    Snakemake's executor removes all Slurm variables except the job id from the environment, so Slurm is queried.
    """
    job = environ.get("SLURM_JOB_ID")
    if not job:
        return []
    listed = run(["squeue", "--noheader", f"--jobs={job}", "--format=%N"]).strip()
    return run(["scontrol", "show", "hostnames", listed]).split()


def step_on_nodes(nodes: int, gpus: int, node: str | None = None) -> list[str]:
    """Command prefix that runs a command once per node, in parallel with the step of this process.

    ``gpus``: GPUs per node. ``node``: the name of a specific node to run on.
    """
    where = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", *([f"--nodelist={node}"] if node else [])]
    devices = [f"--gpus-per-node={gpus}"] if gpus else []
    return ["srun", "--overlap", *where, *devices, "--cpu-bind=none", "--kill-on-bad-exit=1"]


def step_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the options of the current Slurm step, which a new step would otherwise inherit."""
    keep = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME")
    return {
        name: value
        for name, value in environ.items()
        if name in keep or not name.startswith(("SLURM_", "SRUN_", "SBATCH_"))
    }


# -- jobs of a run that was killed ----------------------------------------------------------------------------------


class UnfinishedJob(NamedTuple):
    """A Slurm job that an earlier run in the same folder submitted: its id, state, rule with wildcards, and reason."""

    id: str
    state: str
    what: str
    reason: str = ""


ITS_TURN = {"None", "Priority", "Resources", "BeginTime", "Cleaning", "Prolog"}
"""Slurm's reasons for pending jobs that will start without intervention."""
WAITS = (
    "If they do not start, stop the run (Ctrl-C) and change the account or the partition in the profile, or the "
    "resources under `runtime:` of the model; `scontrol show job ID` shows details."
)


def unfinished_jobs(folder: Path, run: Callable[[list[str]], str] = run_command) -> list[UnfinishedJob]:
    """List the queued and running jobs that Snakemake submitted from a folder."""
    rows = [line.split("|", 4) for line in run(SQUEUE).splitlines() if line.count("|") >= 4]
    return [
        UnfinishedJob(job, state, comment.removeprefix("rule_").replace("_wildcards_", " "), reason)
        for job, state, reason, comment, where in rows
        if comment.startswith("rule_") and Path(where) == folder
    ]


def cancel_queued(folder: Path, run: Callable[[list[str]], str] = run_command) -> str:
    """Handle the jobs of a killed run before another run starts in its folder; returns a message for the user.

    Queued jobs are cancelled, because they have done nothing and the new run submits them again. Running jobs continue:
    the new run's job for the same batch or training waits for them and reuses their completions or checkpoints.
    """
    try:
        jobs = unfinished_jobs(folder, run)
        queued = [job.id for job in jobs if job.state in ("PENDING", "CONFIGURING")]
        if queued:
            run(["scancel", "--state=PENDING", *queued])
    except (OSError, subprocess.SubprocessError) as error:
        return f"Jobs of an earlier run could not be queried from Slurm ({error}). `squeue --me` lists them.\n"
    running = [job for job in jobs if job.id not in queued]
    text = f"Cancelled queued jobs of an earlier run in this folder: {' '.join(queued)}\n" if queued else ""
    if running:
        names = "\n".join(f"  {job.id}  {job.state.lower()}  {job.what}" for job in running)
        text += (
            f"Jobs of an earlier run in this folder are still running on Slurm:\n{names}\nTheir work is not lost: the "
            "corresponding jobs of this run wait for them and reuse their results. To continue without waiting: "
            f"scancel {' '.join(job.id for job in running)}\n"
        )
    return text
