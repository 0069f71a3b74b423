"""What is printed when a run ends: what it cost and where to look."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.table import Table

from polypref.logs import clock, console_on
from polypref.slurm import failures

PLACES = (("Report", "report/index.html"), ("Data sets", "datasets"), ("Figures", "figures"), ("Tables", "tables"),
          ("Logs", "logs"))  # fmt: skip


def batch_runs(results: str | Path, since: float) -> list[dict[str, Any]]:
    """Engine runs of all batches that began after a time (Unix seconds), each with its ``batch``."""
    found = []
    for path in sorted(Path(results).glob("store/*/*/runs.jsonl")):
        for run in map(_record, path.read_text(encoding="utf-8").splitlines()):
            if run and datetime.fromisoformat(run["started_at"]).timestamp() >= since - 1:
                found.append({"batch": f"{path.parent.parent.name}/{path.parent.name}", **run})
    return found


def trainings(results: str | Path, since: float) -> list[tuple[str, dict[str, Any]]]:
    """Trainings that ended after a time (Unix seconds): the variants that use them, and their ``run.json``."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path(results).glob("policies/*/policy.json")):
        if policy := _record(path.read_text(encoding="utf-8")):
            found.setdefault(policy["digest"], []).append(path.parent.name)
    ended = []
    for digest, names in found.items():
        path = Path(results) / "trained" / digest / "run.json"
        run = _record(path.read_text(encoding="utf-8")) if path.exists() else None
        if run and datetime.fromisoformat(run["finished"]).timestamp() >= since - 1:
            ended.append((", ".join(names), run))
    return ended


def _record(text: str) -> dict[str, Any] | None:
    """What a JSON text holds; None of one that was cut off or only touched."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def run_table(runs: list[dict[str, Any]], terminal: bool) -> Table:
    """A row per engine run and one of sums; ruled for a terminal, plain for a file."""
    paid = any(run["cost_usd"] for run in runs)
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False, show_footer=len(runs) > 1)
    table.add_column("batch", "all", overflow="fold")
    for name in ("rows", "reused", "errors", "tokens", "engine start", "answering", "rows/s", "tokens/s"):
        table.add_column(name, justify="right", no_wrap=True)
    if paid:
        table.add_column("USD", justify="right", no_wrap=True)
    for run in runs:
        table.add_row(run["batch"], *_cells(run, paid), style="red" if run["errors"] else "")
    summed = ("answered", "reused", "errors", "completion_tokens", "start_seconds", "seconds", "cost_usd")
    footer = _cells({key: sum(run[key] for run in runs) for key in summed}, paid)
    for column, cell in zip(table.columns[1:], footer, strict=True):
        column.footer = cell
    return table


def _cells(run: dict[str, Any], paid: bool) -> list[str]:
    seconds = max(run["seconds"], 0.1)
    counts = [f"{run[key]:,}" for key in ("answered", "reused", "errors", "completion_tokens")]
    times = [clock(run["start_seconds"]), clock(run["seconds"])]
    rates = [f"{run['answered'] / seconds:,.1f}", f"{run['completion_tokens'] / seconds:,.0f}"]
    return [*counts, *times, *rates, *([f"{run['cost_usd']:,.2f}"] if paid else [])]


def print_summary(results: str | Path, since: float, stream: TextIO) -> None:
    """Print the batches and trainings that ran, the engine starts, and where the results lie.

    Parameters
    ----------
    results : folder of the results.
    since : when the run started, Unix seconds.
    stream : a terminal gets rules and colours, a file plain text.
    """
    console, runs = console_on(stream), batch_runs(results, since)
    if runs:
        console.print("\nBatches of this run:")
        console.print(run_table(runs, stream.isatty()))
    else:
        console.print("\nNo batch had anything to answer: no engine was started.")
    starts, batches = sum(run["engine_starts"] for run in runs), len({run["batch"] for run in runs})
    console.print(f"Engine starts: {starts}, batches with something missing: {batches}")
    for names, run in trainings(results, since):
        attempts = f" in {run['attempts']} attempts" if run["attempts"] > 1 else ""
        console.print(f"Trained:   {names} in {clock(run['seconds'])}{attempts}")
    for what, path in PLACES:
        if (Path(results) / path).exists():
            console.print(f"{what + ':':<11}{results}/{path}")
    console.print()


def failure_summary(results: str, snakemake_logs: Iterable[str | Path] = ()) -> str:
    """What to do after a failure; for jobs on Slurm, one by one (:func:`polypref.slurm.failures`)."""
    return (
        f"{''.join(failures(Path(log)) for log in snakemake_logs if Path(log).is_file())}"
        "\nThe run stopped before everything was made. The message above that begins with ERROR names the cause; the\n"
        f"job's whole log is under {results}/logs/. What was answered is kept in {results}/store/: run the same\n"
        "command again and it goes on from there.\n"
    )
