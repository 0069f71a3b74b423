"""Tabulate the cost of a run: rows, tokens, engine starts and seconds of each batch."""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from polypref.files.result_tables import TableError

LABELS = ["task", "checkpoint", "engine"]
TOTALS = [
    "requests", "unique_requests", "answered", "reused", "errors", "prompt_tokens", "completion_tokens",
    "engine_starts", "start_seconds", "seconds", "cost_usd",
]  # fmt: skip
TASKS = ("translate", "rate", "generate", "answer", "judge")


def read_cost(path: str | Path) -> dict:
    """Read the cost file of one batch.

    Raises
    ------
    TableError
        The file is not JSON or lacks a field. The message names the file.
    """
    try:
        cost = json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise TableError(f"{path}: not JSON: {error}") from error
    missing = [name for name in [*LABELS, *TOTALS] if name not in cost]
    if missing:
        raise TableError(f"{path}: no field {', '.join(missing)}")
    return cost


def tabulate_cost(costs: Iterable[dict]) -> pd.DataFrame:
    """Tabulate the costs: one row per batch in the order of the stages, and a total.

    Parameters
    ----------
    costs : cost objects of the batches (:func:`read_cost`).

    Returns
    -------
    `LABELS`, `TOTALS`, ``gpu_seconds``, and ``runs``, the number of times the batch was started. Tokens, seconds,
    engine starts and dollars are sums over all runs. ``seconds`` does not include ``start_seconds`` (loading the
    engine); ``gpu_seconds`` is their sum times the number of GPUs of the engine. The last row has the task ``total``.
    """
    rows = [
        {name: cost[name] for name in [*LABELS, *TOTALS]}
        | {"gpu_seconds": float(cost.get("gpu_seconds", 0)), "runs": len(cost.get("runs", []))}
        for cost in costs
    ]
    frame = pd.DataFrame(rows, columns=[*LABELS, *TOTALS, "gpu_seconds", "runs"])
    frame["cost_usd"] = frame["cost_usd"].fillna(0.0).astype(float)
    stages = frame["task"].map({task: position for position, task in enumerate(TASKS)}).fillna(len(TASKS))
    frame = frame.assign(stage=stages).sort_values(["stage", "checkpoint"]).drop(columns="stage")
    total = {"task": "total", "checkpoint": "", "engine": ""} | frame[[*TOTALS, "gpu_seconds", "runs"]].sum().to_dict()
    # The sums are floats and would turn the counts into floats, so the counts are converted back to integers.
    return pd.DataFrame([*frame.to_dict("records"), total], columns=frame.columns).astype(
        {name: int for name in [*TOTALS[:8], "runs"]}
    )
