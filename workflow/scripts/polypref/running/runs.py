"""Statistics of the engine runs of a batch, including failed ones; they are saved next to its row store."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polypref.files.tables import atomic_write, canonical_json

RUNS = "runs.jsonl"


def new_run() -> dict[str, Any]:
    """Initial statistics of an engine run."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "answered": 0,
        "reused": 0,
        "errors": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "engine_starts": 0,
        "start_seconds": 0.0,
        "seconds": 0.0,
        "cost_usd": 0.0,
    }


def parse_record(text: str) -> dict[str, Any] | None:
    """Parse a JSON text; None if it is truncated or empty."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Read the statistics of each run so far, in order; truncated lines are skipped."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [run for run in map(parse_record, lines) if run]


def record_run(store: Path, run: dict[str, Any], report: Callable[[str], Any] = print) -> None:
    """Save the statistics of a run next to its row store, unless the run started no engine.

    A failure to save them is only reported, because the completions themselves are already in the row store.
    """
    if not run["engine_starts"]:
        return
    path = store / RUNS
    try:
        with atomic_write(path, "w") as file:
            file.writelines(canonical_json(each) + "\n" for each in [*read_runs(path), run])
    except OSError as error:
        report(f"{path}: the statistics of this run cannot be saved ({error.strerror or error})")


def spent_so_far(store: Path, held: float) -> float:
    """Cost in USD of the earlier runs of a batch: the larger of the sum over runs and the sum over saved completions.

    A run that was killed saved no statistics, but each of its completions has its own cost, and ``held`` is their sum.
    """
    return max(sum(run["cost_usd"] for run in read_runs(store / RUNS)), held)


def cost_so_far(store: Path, task: str, name: str, engine: str, last: dict[str, Any]) -> dict[str, Any]:
    """Total statistics of all runs of a batch; values that describe a state are those of the last run."""
    runs = read_runs(store / RUNS)
    summed = ("answered", "prompt_tokens", "completion_tokens", "engine_starts", "start_seconds", "seconds", "cost_usd")
    totals = {key: round(sum(run[key] for run in runs), 6) for key in summed}
    held = sum(run.get("gpus", 0) * (run["start_seconds"] + run["seconds"]) for run in runs)
    totals["gpu_seconds"] = round(held, 1)
    state = {key: last[key] for key in ("requests", "unique_requests", "reused", "errors")}
    return {"task": task, "checkpoint": name, "engine": engine, **state, **totals, "runs": runs}
