"""The summary at the end of a run: its batches and trainings, their cost, and where the results are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.table import Table

from polypref.config.health import distance
from polypref.files.result_tables import read_csv
from polypref.running.logs import WIDE, clock, console_on
from polypref.running.runs import RUNS, parse_record, read_runs
from polypref.running.slurm_failures import failures

PLACES = (("Report", "report/index.html"), ("Data sets", "datasets"), ("Figures", "figures"), ("Tables", "tables"),
          ("Logs", "logs"))  # fmt: skip
WIDE_ONLY = {"engine start", "rows/s"}
"""Columns that are omitted on a narrow terminal."""
STOPPED = "Terminating processes on user request"
"""Snakemake's message after Ctrl-C."""


def batch_runs(results: str | Path, since: float) -> list[dict[str, Any]]:
    """Engine runs of all batches that started after a time (Unix seconds), each with its ``batch``."""
    found = []
    for path in sorted(Path(results).glob(f"store/*/*/{RUNS}")):
        for run in read_runs(path):
            if datetime.fromisoformat(run["started_at"]).timestamp() >= since - 1:
                found.append({"batch": f"{path.parent.parent.name}/{path.parent.name}", **run})
    return found


def trainings(results: str | Path, since: float) -> list[tuple[str, dict[str, Any]]]:
    """Trainings that finished after a time (Unix seconds): the trained variants, and the content of ``run.json``."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path(results).glob("policies/*/policy.json")):
        if policy := parse_record(path.read_text(encoding="utf-8")):
            found.setdefault(policy["digest"], []).append(path.parent.name)
    finished = []
    for digest, names in found.items():
        path = Path(results) / "trained" / digest / "run.json"
        run = parse_record(path.read_text(encoding="utf-8")) if path.exists() else None
        if run and datetime.fromisoformat(run["finished"]).timestamp() >= since - 1:
            finished.append((", ".join(names), run))
    return finished


def run_table(runs: list[dict[str, Any]], terminal: bool, wide: bool = True) -> Table:
    """A table with a row per engine run and a row of sums; ruled on a terminal, plain in a file.

    The `WIDE_ONLY` columns are omitted unless ``wide``, to leave room for the names of the batches.
    """
    omitted = {"USD"} if not any(run["cost_usd"] for run in runs) else set()
    omitted |= set() if wide else WIDE_ONLY
    summed = ("answered", "reused", "errors", "completion_tokens", "start_seconds", "seconds", "cost_usd")
    sums = _cells({key: sum(run[key] for run in runs) for key in summed})
    rows = [_cells(run) for run in runs]
    table = Table(box=box.SIMPLE_HEAD if terminal else None, padding=(0, 1 if terminal else 2, 0, 0), pad_edge=False,
                  show_edge=False, show_footer=len(runs) > 1)  # fmt: skip
    table.add_column("batch", "all", overflow="fold")
    for name in [name for name in sums if name not in omitted]:
        table.add_column(name, sums[name], justify="right", no_wrap=True)
    for run, row in zip(runs, rows, strict=True):
        shown = [cell for name, cell in row.items() if name not in omitted]
        table.add_row(run["batch"], *shown, style="red" if run["errors"] else "")
    return table


def _cells(run: dict[str, Any]) -> dict[str, str]:
    """The formatted numbers of a run by column header."""
    seconds = max(run["seconds"], 0.1)
    return {
        "rows": f"{run['answered']:,}",
        "reused": f"{run['reused']:,}",
        "errors": f"{run['errors']:,}",
        "tokens": f"{run['completion_tokens']:,}",
        "engine start": clock(run["start_seconds"]),
        "answering": clock(run["seconds"]),
        "rows/s": f"{run['answered'] / seconds:,.1f}",
        "tokens/s": f"{run['completion_tokens'] / seconds:,.0f}",
        "USD": f"{run['cost_usd']:,.2f}",
    }


def health_lines(results: str | Path) -> list[str]:
    """The failed health checks with their worst values, and the number of warnings; nothing without their table."""
    path = Path(results) / "tables/health.csv"
    if not path.exists() or not path.stat().st_size:  # a run with --touch may create an empty file
        return []
    table = read_csv(path)
    failed, warned = (table[table["status"].eq(status)] for status in ("fail", "warn"))
    only_warned = set(warned["check"]) - set(failed["check"])  # as on the first page: a check has its worst status
    void = table["voids"].astype(str).eq("True").any()
    head = "No conclusion can be drawn from this run." if void else "Health checks:"
    counts = f"{failed['check'].nunique()} failed, {len(only_warned)} with a warning (report/index.html)"
    order = {check: number for number, check in enumerate(failed["check"].unique())}
    rows = sorted(
        failed.itertuples(),
        key=lambda row: (str(row.voids) != "True", order[row.check], -distance(row.value, row.better)),
    )
    worst: dict[str, str] = {}
    for row in rows:
        worst.setdefault(row.check, f"  FAILED  {row.title}: {row.message}")
    return [f"{head} {counts}", *worst.values()]


def print_summary(results: str | Path, since: float, stream: TextIO) -> None:
    """Print the batches and trainings of the run, the number of engine starts, and the paths of the results.

    Parameters
    ----------
    results : folder of the results.
    since : start of the run in Unix seconds.
    stream : output stream; a terminal gets rules and colours, a file gets plain text.
    """
    console, runs = console_on(stream), batch_runs(results, since)
    if runs:
        console.print("\nBatches of this run:")
        console.print(run_table(runs, stream.isatty(), console.width >= WIDE))
    else:
        console.print("\nNo batch had missing rows: no engine was started.")
    starts, batches = sum(run["engine_starts"] for run in runs), len({run["batch"] for run in runs})
    console.print(f"Engine starts: {starts}, batches with missing rows: {batches}")
    if failed := sum(run["errors"] for run in runs):
        names = ", ".join(sorted({run["batch"] for run in runs if run["errors"]}))
        console.print(f'{failed:,} rows of {names} failed. To retry them, see "Some rows failed" in docs/faq.md.')
    for names, run in trainings(results, since):
        attempts = f" in {run['attempts']} attempts" if run["attempts"] > 1 else ""
        console.print(f"Trained:   {names} in {clock(run['seconds'])}{attempts}")
    for line in health_lines(results):
        console.print(line, highlight=False, markup=False)
    for name, path in PLACES:
        if (Path(results) / path).exists():
            console.print(f"{name + ':':<11}{results}/{path}")
    console.print()


def failure_summary(results: str, snakemake_logs: Iterable[str | Path] = ()) -> str:
    """The message after a failed run; it includes the causes of failed Slurm jobs."""
    logs = [Path(log) for log in snakemake_logs if Path(log).is_file()]
    on_slurm = "".join(map(failures, logs))
    cause = "The run stopped before it was complete. The message above that begins with ERROR gives the cause."
    if any(STOPPED in log.read_text(encoding="utf-8", errors="replace") for log in logs):
        cause = "The run was stopped."
    elif on_slurm:
        cause = "The run stopped before it was complete. The causes are listed above, job by job."
    return (
        f"{on_slurm}\n{cause}\nThe log files of all jobs are in {results}/logs/. Finished completions are saved in "
        f"{results}/store/: run the same\ncommand again to continue from there.\n"
    )
