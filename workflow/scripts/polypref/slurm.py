"""What Snakemake's Slurm executor leaves to us: the states of jobs, those of a killed run, what a failure means.

Slurm itself is asked with ``squeue`` alone. Why a job failed is in files: Snakemake's log has its id and its state, the
job's own log what it said last.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
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


# -- jobs that failed -----------------------------------------------------------------------------------------------


@dataclass
class Failed:
    """A job of Snakemake's whose last attempt on Slurm failed; ``said``: why Slurm refused to take it (again)."""

    rule: str = "a job"
    name: str = ""
    attempts: list[str] = field(default_factory=list)
    state: str = ""
    log: str = ""
    said: str = ""


NOT_SUBMITTED = "not submitted"
SUBMITTED = re.compile(r"^Job (\d+) has been submitted with SLURM jobid (\S+) \(log: (.*)\)\.$")
STATE = re.compile(r"SLURM-job '([^']+)' failed.*?SLURM status is: '(\w+)'")
STATE_OF_NODE = re.compile(r"SLURM-job '([^']+)' failed due to a node failure")
REFUSED = re.compile(r"(?:SLURM sbatch failed\. The error message was '|Job submission failed with exception: )(.*)")
FINISHED = re.compile(r"^Finished jobid: (\d+) ")
JOB_ID = re.compile(r"^    jobid: (\d+)$")
RULE_LOG = re.compile(r"^    log: .*?([^/, ]+)\.log\b")
NO_ANSWER = re.compile(r"[Uu]nable to contact slurm controller|[Tt]imed out")

KEPT = "What it answered or trained is kept, and the same command goes on from there."
RUNTIME = "under its `runtime:` (model registry; training.runtime of the configuration)"
CAUSES = {
    "TIMEOUT": (
        r"DUE TO TIME LIMIT", "it reached its time limit",
        f"{KEPT} For more time at the first attempt, raise `hours` {RUNTIME}.",
    ),
    "NODE_FAIL": (
        r"DUE TO NODE FAILURE", "its node went down",
        f"{KEPT} If it is one node again and again: slurm_extra: \"'--exclude=NODE'\" in the profile.",
    ),
    "OUT_OF_MEMORY": (
        r"oom[-_ ]?kill|[Oo]ut [Oo]f [Mm]emory|exceeded (job |step )?memory limit|Exceeded job memory",
        "it took more memory than it had asked for", f"Raise `memory_gb` {RUNTIME}.",
    ),
    "PREEMPTED": (
        r"DUE TO PREEMPTION", "it was preempted by another job",
        f"{KEPT} With `slurm-requeue: true` in the profile, in place of slurm-no-requeue, Slurm starts it again.",
    ),
    "CANCELLED": (r"CANCELLED AT", "it was cancelled, by scancel or an administrator", KEPT),
}  # fmt: skip
"""By Slurm's state: how a job's log tells it, why the job ended, and what to do. The first sign that is found counts:
what takes too much memory or time is cancelled for it."""
TAIL = 64 * 1024
OWN = re.compile(r"^ERROR in (.+?)\nThe log is ", re.MULTILINE | re.DOTALL)


def failed_jobs(lines: Iterable[str]) -> list[Failed]:
    """Jobs that failed for good, from the lines of Snakemake's log; those whose retry went well are left out."""
    by_slurm: dict[str, str] = {}
    found: dict[str, Failed] = {}
    attempts: dict[str, list[tuple[str, str]]] = {}
    rule, refused = "", ""
    unnamed = Failed()
    for line in map(str.rstrip, lines):
        if line.startswith("Error in rule ") or line.startswith("Error in group "):
            rule, refused = line.split()[-1].rstrip(":,"), ""
        if match := SUBMITTED.match(line):
            number, slurm, log = match.groups()
            by_slurm[slurm] = number
            attempts.setdefault(number, []).append((slurm, log))
        elif match := STATE_OF_NODE.search(line) or STATE.search(line):
            number = by_slurm.get(match[1], "")
            state = match[2] if match.re is STATE else "NODE_FAIL"
            ids = [slurm for slurm, _ in attempts.get(number, [])]
            log = dict(attempts.get(number, [])).get(match[1], "")
            found[number] = Failed(rule, Path(log).parent.name.replace("_", " ", 1), ids, state, log)
        elif match := REFUSED.search(line):
            refused = match[1].rstrip("'.")
        elif refused.endswith(":"):  # what can be had instead is on a line of its own
            refused += f" {line}"
        elif refused and (match := JOB_ID.match(line)):
            unnamed = found.setdefault(match[1], Failed(rule, state=NOT_SUBMITTED))
            unnamed.said, refused = refused, ""
        elif match := RULE_LOG.match(line):
            unnamed.name = unnamed.name or match[1].replace(".", " ", 1)
            unnamed = Failed()
        elif match := FINISHED.match(line):
            found.pop(match[1], None)
    return list(found.values())


def explain(job: Failed, log: str) -> tuple[str, str]:
    """Why a job failed and what to do, from its state and the end of its own log."""
    if job.state == NOT_SUBMITTED:
        if NO_ANSWER.search(job.said):
            return f"Slurm did not answer: {job.said}", "The same command goes on, once `sinfo` answers."
        profile = "Correct account, partition, `jobs` or GPU type in the profile"
        return f"Slurm refused it: {job.said}", f"{profile}, or what the model asks for {RUNTIME}."
    if job.state not in ("FAILED", "CANCELLED") and job.state in CAUSES:
        return CAUSES[job.state][1:]
    for sign, why, remedy in CAUSES.values():
        if re.search(sign, log):
            return why, remedy
    if own := OWN.findall(log):
        return " ".join(own[-1].split()), "Its message says what to change; what was answered is kept."
    return CAUSES.get(job.state, ("", "its log says no more than that it ended", KEPT))[1:]


def failures(snakemake_log: Path) -> str:
    """One paragraph per Slurm job that failed for good: id, state, why, what to do, log. Empty where there is none."""
    text = ""
    for job in failed_jobs(snakemake_log.read_text(encoding="utf-8", errors="replace").splitlines()):
        why, remedy = explain(job, _end_of(Path(job.log)) if job.log else "")
        ids = f"Slurm job {job.attempts[-1]}" if job.attempts else "no Slurm job"
        before = f" (before it {', '.join(job.attempts[:-1])})" if job.attempts[1:] else ""
        if job.attempts and job.said:
            why += f"; its next attempt, which asks for more, Slurm refused: {job.said}"
        text += f"\n{' '.join(filter(None, (job.rule, job.name)))}: {ids}{before}, {job.state}\n"
        text += f"  why    {why}\n  to do  {remedy}\n"
        # a job that never started has none
        text += f"  log    {job.log}\n" if job.log and Path(job.log).is_file() else ""
    return text


def _end_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
