"""What a failed job on Slurm means, and what to do.

Slurm is not asked: Snakemake's log has a job's id and its state, the job's own log what it said last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


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
