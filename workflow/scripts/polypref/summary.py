"""What is printed when a run ends: what it cost and where to look."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from polypref.config import Config
from polypref.logs import clock
from polypref.slurm import failures


def batch_runs(results: str, since: float) -> list[dict[str, Any]]:
    """Engine runs of all batches that began after a time (Unix seconds), each with its ``batch``."""
    found = []
    for path in sorted(Path(results).glob("store/*/*/runs.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            if datetime.fromisoformat(run["started_at"]).timestamp() >= since - 1:
                found.append({"batch": f"{path.parent.parent.name}/{path.parent.name}", **run})
    return found


def run_summary(config: Config, results: str, since: float) -> str:
    """A table of the batches that ran, the engine starts, and where the results lie."""
    runs = batch_runs(results, since)
    lines = ["", "Batches of this run:"] if runs else ["", "No batch had anything to answer: no engine was started."]
    if runs:
        lines.append(f"  {'batch':<32}{'rows':>8}{'reused':>8}{'errors':>8}{'tokens':>10}{'start':>8}{'answer':>9}")
    for run in runs:
        start, answer = clock(run["start_seconds"]), clock(run["seconds"])
        counts = f"{run['answered']:>8,}{run['reused']:>8,}{run['errors']:>8,}{run['completion_tokens']:>10,}"
        lines.append(f"  {run['batch']:<32}{counts}{start:>8}{answer:>9}")
    starts, batches = sum(run["engine_starts"] for run in runs), len({run["batch"] for run in runs})
    lines.append(f"Engine starts: {starts}, batches with something missing: {batches}")
    for what, path in (
        ("Report", "report/index.html"),
        ("Data sets", "datasets"),
        ("Tables", "tables"),
        ("Logs", "logs"),
    ):
        if (Path(results) / path).exists():
            lines.append(f"{what + ':':<11}{results}/{path}")
    return "\n".join([*lines, ""])


def failure_summary(results: str, snakemake_logs: Iterable[str | Path] = ()) -> str:
    """What to do after a failure; for jobs on Slurm, one by one (:func:`polypref.slurm.failures`)."""
    return (
        f"{''.join(failures(Path(log)) for log in snakemake_logs if Path(log).is_file())}"
        "\nThe run stopped before everything was made. The message above that begins with ERROR names the cause; the\n"
        f"job's whole log is under {results}/logs/. What was answered is kept in {results}/store/: run the same\n"
        "command again and it goes on from there.\n"
    )
