"""What Snakemake's Slurm executor leaves to us: the states of jobs, steps on several nodes, jobs of a killed run.

Slurm itself is asked with ``squeue`` alone.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ACTIVE = "PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING"
SQUEUE = ["squeue", "--me", "--noheader", f"--states={ACTIVE}", "--format=%i|%T|%r|%k|%Z"]
SECONDS = 30
LOOK_AT_WAITING = 30
"""Seconds between two looks at why jobs wait."""


def run_command(command: list[str]) -> str:
    """Standard output of a command of Slurm's."""
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def bound_status_checks(executor: Any) -> None:
    """Let a class of executors wait no longer between two looks at its jobs than the run's settings say.

    They are read when they are needed: Snakemake has none yet when it reads the rules.
    """
    grown = executor.next_seconds_between_status_checks

    def bounded(self: Any) -> float:
        return min(grown.fget(self), self.workflow.remote_execution_settings.seconds_between_status_checks)

    executor.next_seconds_between_status_checks = property(bounded, grown.fset)


def cancel_while_looking(executor: Any) -> None:
    """Let a class of executors cancel also the jobs that it asks after just then: it has them in no list meanwhile."""
    check, cancel = executor.check_active_jobs, executor.cancel_jobs
    looked_at: list[Any] = []

    async def checked(self: Any, jobs: list[Any]) -> AsyncIterator[Any]:
        looked_at[:] = jobs
        async for job in check(self, jobs):
            yield job

    def cancelled(self: Any, jobs: list[Any]) -> None:
        cancel(self, list({job.external_jobid: job for job in [*looked_at, *jobs]}.values()))

    executor.check_active_jobs, executor.cancel_jobs = checked, cancelled


SILENT = (
    "Slurm does not answer. Its jobs run on, and it is asked again. If it never answers, because the cluster has no "
    "accounting database: slurm-status-command in the profile."
)


@dataclass
class StatusQuery:
    """Asks Slurm for the states of jobs by the executor's own function, without the answers that it cannot take.

    It forgets all jobs where Slurm does not answer, and does not know "CANCELLED by 0", as sacct has it: both times it
    would wait for ever. And it says nothing of jobs that Slurm accepted and does not start: each reason is told once.
    """

    query: Callable[[str, Any], Awaitable[tuple[dict[str, str] | None, float | None]]]
    run: Callable[[list[str]], str] = run_command
    silent: bool = False
    told: set[str] = field(default_factory=set)
    next_look: float = 0.0

    async def __call__(self, command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await self.query(command, logger)
        if self.silent != (states is None):
            self.silent = states is None
            logger.warning(SILENT if self.silent else "Slurm answers again.")
        if states is None:
            return {}, 0.0  # nothing is known of any job, so all are left as they are
        if "PENDING" in states.values() and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK_AT_WAITING
            if text := self.waiting(Path.cwd()):
                logger.warning(text)
        return {job: state.partition(" ")[0] for job, state in states.items()}, seconds or 0.0

    def waiting(self, folder: Path) -> str:
        """Jobs that wait for something other than their turn, by the reasons that were not told yet."""
        try:
            jobs = [job for job in left_behind(folder, self.run) if job.state == "PENDING"]
        except (OSError, subprocess.SubprocessError):
            return ""
        reasons = dict.fromkeys(job.reason for job in jobs if job.reason not in self.told | ITS_TURN)
        self.told |= reasons.keys()
        named = ((reason, ", ".join(f"{j.id} ({j.what})" for j in jobs if j.reason == reason)) for reason in reasons)
        return "\n".join(f"Slurm lets jobs wait, {reason}: {names}. {WAITS}" for reason, names in named)


# -- several nodes --------------------------------------------------------------------------------------------------


def job_nodes(environ: Mapping[str, str], run: Callable[[list[str]], str] = run_command) -> list[str]:
    """Names of the nodes of the Slurm job that this process is in; none outside of Slurm.

    Snakemake's executor leaves a job none of Slurm's variables but its id, so Slurm is asked.
    """
    job = environ.get("SLURM_JOB_ID")
    if not job:
        return []
    listed = run(["squeue", "--noheader", f"--jobs={job}", "--format=%N"]).strip()
    return run(["scontrol", "show", "hostnames", listed]).split()


def step_on_nodes(nodes: int, gpus: int, node: str | None = None) -> list[str]:
    """Start of a command that runs once on each of some nodes of this job, beside the step of this process.

    ``gpus``: of each node. ``node``: the name of the one, where it has to be a certain one.
    """
    where = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", *([f"--nodelist={node}"] if node else [])]
    devices = [f"--gpus-per-node={gpus}"] if gpus else []
    return ["srun", "--overlap", *where, *devices, "--cpu-bind=none", "--kill-on-bad-exit=1"]


def step_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the step of this process was given as options: a step in it would take them too."""
    keep = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME")
    return {
        name: value
        for name, value in environ.items()
        if name in keep or not name.startswith(("SLURM_", "SRUN_", "SBATCH_"))
    }


# -- jobs of a run that was killed ----------------------------------------------------------------------------------


class Left(NamedTuple):
    """A Slurm job that an earlier run in the same folder submitted: its id, its state, and what it makes."""

    id: str
    state: str
    what: str
    reason: str = ""


ITS_TURN = {"None", "Priority", "Resources", "BeginTime", "Cleaning", "Prolog"}
"""Slurm's reasons of jobs that start by themselves when it is their turn."""
WAITS = (
    "If that does not pass by itself, stop (Ctrl-C) and change account or partition in the profile, or what the model "
    "asks for under its `runtime:`; `scontrol show job ID` says more."
)


def left_behind(folder: Path, run: Callable[[list[str]], str] = run_command) -> list[Left]:
    """Jobs that Snakemake submitted from a folder and that are queued or running."""
    rows = [line.split("|", 4) for line in run(SQUEUE).splitlines() if line.count("|") >= 4]
    return [
        Left(job, state, comment.removeprefix("rule_").replace("_wildcards_", " "), reason)
        for job, state, reason, comment, where in rows
        if comment.startswith("rule_") and Path(where) == folder
    ]


def take_over(folder: Path, run: Callable[[list[str]], str] = run_command) -> str:
    """See to the jobs of a run that was killed, before another begins in its folder; returns what to tell the user.

    Queued jobs are cancelled: they have done nothing, and the new run submits them again. Running ones go on. The new
    run's job for the same batch or training waits for theirs, and takes up what it has answered or trained.
    """
    try:
        jobs = left_behind(folder, run)
        queued = [job.id for job in jobs if job.state in ("PENDING", "CONFIGURING")]
        if queued:
            run(["scancel", "--state=PENDING", *queued])
    except (OSError, subprocess.SubprocessError) as error:
        return f"Slurm could not be asked for jobs of an earlier run ({error}); `squeue --me` lists them.\n"
    running = [job for job in jobs if job.id not in queued]
    text = f"Cancelled what an earlier run here had queued: {' '.join(queued)}\n" if queued else ""
    if running:
        names = "\n".join(f"  {job.id}  {job.state.lower()}  {job.what}" for job in running)
        text += (
            f"Slurm still runs jobs of an earlier run in this folder:\n{names}\nThey are not lost: the job that does "
            "the same now waits for them and asks nothing again. To go on at once instead: "
            f"scancel {' '.join(job.id for job in running)}\n"
        )
    return text
