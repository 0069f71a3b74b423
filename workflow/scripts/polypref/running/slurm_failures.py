"""Causes of failed Slurm jobs, and their remedies.

Slurm itself is not queried: the id and the state of a job come from Snakemake's log, the cause from the job's own log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class FailedJob:
    """A Snakemake job whose last attempt on Slurm failed; ``refusal``: why Slurm rejected its (next) submission."""

    rule: str = "a job"
    name: str = ""
    attempts: list[str] = field(default_factory=list)
    state: str = ""
    log: str = ""
    refusal: str = ""


NOT_SUBMITTED = "not submitted"
SUBMITTED = re.compile(r"^Job (\d+) has been submitted with SLURM jobid (\S+) \(log: (.*)\)\.$")
STATE = re.compile(r"SLURM-job '([^']+)' failed.*?SLURM status is: '(\w+)'")
STATE_OF_NODE = re.compile(r"SLURM-job '([^']+)' failed due to a node failure")
REFUSED = re.compile(r"(?:SLURM sbatch failed\. The error message was '|Job submission failed with exception: )(.*)")
FINISHED = re.compile(r"^Finished jobid: (\d+) ")
JOB_ID = re.compile(r"^    jobid: (\d+)$")
RULE_LOG = re.compile(r"^    log: .*?([^/, ]+)\.log\b")
NO_RESPONSE = re.compile(r"[Uu]nable to contact slurm controller|[Tt]imed out")

SAVED = "Its completions or checkpoints are saved, and the same command continues from there."
RUNTIME = "under its `runtime:` (model registry; training.runtime of the configuration)"
CAUSES = {
    "TIMEOUT": (
        r"DUE TO TIME LIMIT", "it reached its time limit",
        f"{SAVED} For more time at the first attempt, raise `hours` {RUNTIME}.",
    ),
    "NODE_FAIL": (
        r"DUE TO NODE FAILURE", "its node went down",
        f"{SAVED} If the same node fails repeatedly, set slurm_extra: \"'--exclude=NODE'\" in the profile.",
    ),
    "OUT_OF_MEMORY": (
        r"oom[-_ ]?kill|[Oo]ut [Oo]f [Mm]emory|exceeded (job |step )?memory limit|Exceeded job memory",
        "it used more memory than it had requested", f"Raise `memory_gb` {RUNTIME}.",
    ),
    "PREEMPTED": (
        r"DUE TO PREEMPTION", "it was preempted by another job",
        f"{SAVED} With `slurm-requeue: true` instead of slurm-no-requeue in the profile, Slurm restarts such jobs.",
    ),
    "CANCELLED": (r"CANCELLED AT", "it was cancelled, by scancel or an administrator", SAVED),
}  # fmt: skip
"""By Slurm state: the pattern in a job's log, why the job ended, and what to do. The first pattern that matches counts,
because Slurm also cancels jobs that exceed their memory or time."""
TAIL = 64 * 1024
OWN_ERROR = re.compile(r"^ERROR in (.+?)\nThe log is ", re.MULTILINE | re.DOTALL)


def failed_jobs(lines: Iterable[str]) -> list[FailedJob]:
    """Find the jobs in Snakemake's log that failed and did not succeed on a retry."""
    by_slurm: dict[str, str] = {}
    found: dict[str, FailedJob] = {}
    attempts: dict[str, list[tuple[str, str]]] = {}
    rule, refused = "", ""
    unnamed = FailedJob()
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
            found[number] = FailedJob(rule, Path(log).parent.name.replace("_", " ", 1), ids, state, log)
        elif match := REFUSED.search(line):
            refused = match[1].rstrip("'.")
        elif refused.endswith(":"):  # the allowed values follow on the next line
            refused += f" {line}"
        elif refused and (match := JOB_ID.match(line)):
            unnamed = found.setdefault(match[1], FailedJob(rule, state=NOT_SUBMITTED))
            unnamed.refusal, refused = refused, ""
        elif match := RULE_LOG.match(line):
            unnamed.name = unnamed.name or match[1].replace(".", " ", 1)
            unnamed = FailedJob()
        elif match := FINISHED.match(line):
            found.pop(match[1], None)
    return list(found.values())


def explain(job: FailedJob, log: str) -> tuple[str, str]:
    """Return why a job failed and what to do, from its state and the end of its own log."""
    if job.state == NOT_SUBMITTED:
        if NO_RESPONSE.search(job.refusal):
            return f"Slurm did not respond: {job.refusal}", "Run the same command again once `sinfo` works."
        profile = "Correct the account, the partition, `jobs` or the GPU type in the profile"
        return f"Slurm rejected it: {job.refusal}", f"{profile}, or the resources of the model {RUNTIME}."
    if job.state not in ("FAILED", "CANCELLED") and job.state in CAUSES:
        return CAUSES[job.state][1:]
    for pattern, why, remedy in CAUSES.values():
        if re.search(pattern, log):
            return why, remedy
    if own := OWN_ERROR.findall(log):
        return " ".join(own[-1].split()), "See the message; finished rows are saved."
    return CAUSES.get(job.state, ("", "its log gives no reason", SAVED))[1:]


def failures(snakemake_log: Path) -> str:
    """One paragraph per Slurm job that failed (id, state, cause, remedy, log file); empty if there is none."""
    text = ""
    for job in failed_jobs(snakemake_log.read_text(encoding="utf-8", errors="replace").splitlines()):
        why, remedy = explain(job, _end_of(Path(job.log)) if job.log else "")
        ids = f"Slurm job {job.attempts[-1]}" if job.attempts else "no Slurm job"
        before = f" (earlier attempts: {', '.join(job.attempts[:-1])})" if job.attempts[1:] else ""
        if job.attempts and job.refusal:
            why += f"; Slurm rejected its next attempt, which requests more: {job.refusal}"
        text += f"\n{' '.join(filter(None, (job.rule, job.name)))}: {ids}{before}, {job.state}\n"
        text += f"  why    {why}\n  to do  {remedy}\n"
        # a job that never started has no log file
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
