"""Additions to Snakemake's Slurm executor: robust status queries, steps on several nodes, jobs of a killed run.

Slurm itself is queried with ``squeue`` only.
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
"""Seconds between two checks of why jobs are pending."""


def run_command(command: list[str]) -> str:
    """Run a Slurm command and return its standard output."""
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def bound_status_checks(executor: Any) -> None:
    """Cap an executor class's interval between two status checks at ``seconds-between-status-checks``.

    The setting is read at every check, because it does not exist yet when Snakemake parses the rules.
    """
    grown = executor.next_seconds_between_status_checks

    def bounded(self: Any) -> float:
        return min(grown.fget(self), self.workflow.remote_execution_settings.seconds_between_status_checks)

    executor.next_seconds_between_status_checks = property(bounded, grown.fset)


def cancel_while_looking(executor: Any) -> None:
    """Make an executor class also cancel the jobs whose status it is checking; its list does not contain them then."""
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
    "Slurm does not respond. Submitted jobs continue, and the status query is repeated. If Slurm never responds, "
    "because the cluster has no accounting database, set slurm-status-command in the profile."
)


@dataclass
class StatusQuery:
    """Query job states with the executor's own function, and replace results that the executor cannot handle.

    The executor would wait forever if Slurm did not respond, because it then loses track of all jobs, and if sacct
    reported "CANCELLED by 0", because it does not know this state. It also does not report jobs that Slurm accepts but
    does not start; here, each reason is reported once.
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
            logger.warning(SILENT if self.silent else "Slurm responds again.")
        if states is None:
            return {}, 0.0  # the states are unknown, so all jobs keep their last state
        if "PENDING" in states.values() and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK_AT_WAITING
            if text := self.waiting(Path.cwd()):
                logger.warning(text)
        return {job: state.partition(" ")[0] for job, state in states.items()}, seconds or 0.0

    def waiting(self, folder: Path) -> str:
        """Describe the jobs that are pending for reasons other than their turn, each reason once."""
        try:
            jobs = [job for job in left_behind(folder, self.run) if job.state == "PENDING"]
        except (OSError, subprocess.SubprocessError):
            return ""
        reasons = dict.fromkeys(job.reason for job in jobs if job.reason not in self.told | ITS_TURN)
        self.told |= reasons.keys()
        named = ((reason, ", ".join(f"{j.id} ({j.what})" for j in jobs if j.reason == reason)) for reason in reasons)
        return "\n".join(f"Jobs are pending on Slurm ({reason}): {names}. {WAITS}" for reason, names in named)


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


class Left(NamedTuple):
    """A Slurm job that an earlier run in the same folder submitted: its id, state, rule with wildcards, and reason."""

    id: str
    state: str
    what: str
    reason: str = ""


ITS_TURN = {"None", "Priority", "Resources", "BeginTime", "Cleaning", "Prolog"}
"""Slurm's reasons of pending jobs that start without intervention."""
WAITS = (
    "If they do not start, stop the run (Ctrl-C) and change the account or the partition in the profile, or the "
    "resources under `runtime:` of the model; `scontrol show job ID` shows details."
)


def left_behind(folder: Path, run: Callable[[list[str]], str] = run_command) -> list[Left]:
    """List the queued and running jobs that Snakemake submitted from a folder."""
    rows = [line.split("|", 4) for line in run(SQUEUE).splitlines() if line.count("|") >= 4]
    return [
        Left(job, state, comment.removeprefix("rule_").replace("_wildcards_", " "), reason)
        for job, state, reason, comment, where in rows
        if comment.startswith("rule_") and Path(where) == folder
    ]


def take_over(folder: Path, run: Callable[[list[str]], str] = run_command) -> str:
    """Handle the jobs of a killed run before another run starts in its folder; returns a message for the user.

    Queued jobs are cancelled, because they have done nothing and the new run submits them again. Running jobs continue:
    the new run's job for the same batch or training waits for them and reuses their completions or checkpoints.
    """
    try:
        jobs = left_behind(folder, run)
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
