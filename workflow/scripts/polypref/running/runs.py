"""Engine runs of a batch: their figures are kept beside its row store, also those of runs that failed."""

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
    """The figures of an engine run that begins."""
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
    """What a JSON text holds; None of one that was cut off or only touched."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The figures of each run so far, in order; a line that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [run for run in map(parse_record, lines) if run]


def keep_run(store: Path, run: dict[str, Any], say: Callable[[str], Any] = print) -> None:
    """Put a run's figures beside the rows, unless it started no engine.

    Where that fails it is said, and no more: what the answers say themselves is in the row store.
    """
    if not run["engine_starts"]:
        return
    path = store / RUNS
    try:
        with atomic_write(path, "w") as file:
            file.writelines(canonical_json(each) + "\n" for each in [*read_runs(path), run])
    except OSError as error:
        say(f"{path}: the figures of this run can't be kept ({error.strerror or error})")


def spent_so_far(store: Path, held: dict[str, dict[str, Any]]) -> float:
    """USD that earlier runs of a batch have cost: by their figures, but no less than the answers at hand.

    A run that was killed left no figures, and its answers say what they cost.
    """
    return max(
        sum(run["cost_usd"] for run in read_runs(store / RUNS)), sum(row["cost_usd"] or 0.0 for row in held.values())
    )


def cost_so_far(store: Path, task: str, name: str, engine: str, last: dict[str, Any]) -> dict[str, Any]:
    """Figures of all runs of a batch, with those of the last one for what is a state rather than a sum."""
    runs = read_runs(store / RUNS)
    summed = ("answered", "prompt_tokens", "completion_tokens", "engine_starts", "start_seconds", "seconds", "cost_usd")
    totals = {key: round(sum(run[key] for run in runs), 6) for key in summed}
    held = sum(run.get("gpus", 0) * (run["start_seconds"] + run["seconds"]) for run in runs)
    totals["gpu_seconds"] = round(held, 1)
    state = {key: last[key] for key in ("requests", "unique_requests", "reused", "errors")}
    return {"task": task, "checkpoint": name, "engine": engine, **state, **totals, "runs": runs}
