"""Compare the actual cost of batches and training with the estimate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from polypref.plan.plan import Plan
from polypref.preflight.estimating import estimate_batches, estimate_training

Row = dict[str, Any]


def measured_costs(results: Path) -> dict[tuple[str, str], Row]:
    """Read the cost files of finished batches, by (task, name)."""
    files = sorted(results.glob("completions/*/*.cost.json"))
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {(cost["task"], cost["checkpoint"]): cost for cost in found}


def measured_training(plan: Plan, results: Path, policies: Iterable[str] = ()) -> dict[str, Row]:
    """Return the training rows, seconds and processes of finished trainings, by policy.

    ``policies``: local copies of ``policies/*/policy.json``, if these files are not in the results folder.
    """
    found, copies = {}, {Path(path).parent.name: Path(path) for path in policies}
    for name in plan.trained:
        policy = copies.get(name, results / "policies" / name / "policy.json")
        if policy.is_file():
            made = json.loads(policy.read_text(encoding="utf-8"))
            run = results / "trained" / made["digest"] / "run.json"
            if run.is_file():
                figures = json.loads(run.read_text(encoding="utf-8"))
                found[name] = {"rows": made["rows"], "seconds": figures["seconds"], "processes": figures["processes"]}
    return found


def compared(plan: Plan, costs: dict[tuple[str, str], Row], trained: dict[str, Row] | None = None) -> list[Row]:
    """Tabulate the estimate from the configuration alone, and the actual cost.

    Returns
    -------
    Rows with task, checkpoint, estimated_requests, requests, estimated_tokens, tokens (both output tokens),
    estimated_hours, hours, estimated_usd, usd, gpu_hours. A training has the task ``train``, its policy as
    checkpoint, and its number of pairs as requests.
    """
    names = {"requests": "requests", "tokens": "output_tokens", "hours": "hours", "usd": "cost_usd"}
    actual = {
        "requests": "actual_requests",
        "tokens": "actual_tokens",
        "hours": "actual_hours",
        "usd": "actual_cost_usd",
    }
    rows = []
    for before, after in zip(
        estimate_batches(plan, Path("/nonexistent"), {}),
        estimate_batches(plan, Path("/nonexistent"), costs),
        strict=True,
    ):
        row = {"task": before["task"], "checkpoint": before["checkpoint"]}
        for name in names:
            row |= {f"estimated_{name}": before[names[name]], name: after[actual[name]]}
        cost = costs.get((row["task"], row["checkpoint"]))
        rows.append(row | {"gpu_hours": cost.get("gpu_seconds", 0) / 3600 if cost else None})
    count, training = len(plan.trained), estimate_training(plan)
    for name in plan.trained:
        run = (trained or {}).get(name)
        gpus = run["processes"] if run and plan.config.training.runtime.gpus else 0
        rows.append(
            {
                "task": "train",
                "checkpoint": name,
                "estimated_requests": training["pairs"] // count,
                "requests": run["rows"] if run else None,
                "estimated_tokens": training["tokens"] // count,
                "tokens": None,
                "estimated_hours": training["hours"] / count,
                "hours": run["seconds"] / 3600 if run else None,
                "estimated_usd": 0.0,
                "usd": 0.0,
                "gpu_hours": run["seconds"] * gpus / 3600 if run else None,
            }
        )
    return rows
