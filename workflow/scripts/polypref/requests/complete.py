"""Completing a batch: reuse the completions in its row store, and send only the missing requests to the engine."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from polypref.config.sections import Checkpoint
from polypref.files.digests import seed_of
from polypref.files.schemas import COMPLETIONS, REQUESTS
from polypref.files.tables import TableError, atomic_write, canonical_json, read_table, write_table
from polypref.requests.engines import Completion, Engine, EngineError, Request, engine_of, open_engine
from polypref.requests.reasoning import apply_reasoning
from polypref.requests.row_store import RowStore
from polypref.requests.sharding import Shard, run_shards, split
from polypref.running.logs import Progress, Terminal
from polypref.running.runs import new_run, record_run, spent_so_far

_COLUMNS = tuple(COMPLETIONS.names)
MAX_LOSS_S = 5.0
"""Upper limit of the flush interval, whatever ``flush_s`` in the registry is."""


def flush_interval(checkpoint: Checkpoint) -> float:
    """Return the seconds between two flushes of the row store."""
    return min(checkpoint.runtime.flush_s, MAX_LOSS_S)


def read_requests(paths: Iterable[str]) -> tuple[list[dict[str, Any]], int]:
    """Read the unique requests of a batch, in the order of files and rows, and the number of rows with a request."""
    unique: dict[str, dict[str, Any]] = {}
    total = 0
    columns = ["request_id", "messages", "decoding", "checkpoint", "revision"]
    for path in paths:
        for number, row in enumerate(read_table(path, REQUESTS, columns).to_pylist(), 1):
            if row["request_id"] is not None:
                total += 1
                unique.setdefault(row["request_id"], {**row, "where": f"{path}, row {number}"})
    return list(unique.values()), total


def to_request(row: dict[str, Any]) -> Request:
    """Convert a request row to an engine's request; the seed of a sampled request is derived from its id."""
    decoding = json.loads(row["decoding"])
    if decoding.get("temperature", 0) > 0:
        decoding["seed"] = seed_of(row["request_id"])
    return Request(row["request_id"], row["messages"], decoding)


def to_record(completion: Completion) -> dict[str, Any]:
    """Convert a completion to a row in COMPLETIONS."""
    record = {name: getattr(completion, name) for name in _COLUMNS}  # dataclasses.asdict makes slow deep copies
    logprobs = completion.logprobs
    record["logprobs"] = None if logprobs is None else canonical_json({k: round(v, 6) for k, v in logprobs.items()})
    return record


def complete(
    paths: list[str],
    store: Path,
    checkpoint: Checkpoint,
    terminal: Terminal | None = None,
    start: Callable[..., Engine] = open_engine,
    name: str = "batch",
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Complete the requests of a batch.

    Parameters
    ----------
    paths : files in REQUESTS
    store : folder of the batch's row store
    checkpoint : registry entry; a path in the requests (a trained policy) replaces its ``path``
    start : function that starts the engine; called once if a completion is missing, otherwise not at all
    name : name of the batch, for the names of its shards

    Returns
    -------
    Rows in COMPLETIONS, one per unique request in order, and the figures of this run.

    Raises
    ------
    EngineError, TableError, StoreError
        The run failed, or more than ``runtime.max_error_share`` of the requests did. All completions so far are in
        the row store.
    """
    requests, total = read_requests(paths)
    run = {"requests": total, "unique_requests": len(requests), **new_run()}
    run["gpus"] = checkpoint.runtime.of_batch("gpus")
    report = terminal.report if terminal else print
    shards = checkpoint.runtime.shards
    with RowStore(store, report=report, flush_s=flush_interval(checkpoint)) as rows:
        stored = rows.get(request["request_id"] for request in requests)
        missing = [request for request in requests if request["request_id"] not in stored]
        run["reused"] = len(stored)
        if missing:
            report(
                f"{len(missing):,} requests to complete with {checkpoint.path}; "
                f"{len(stored):,} completions are already in the row store"
            )
            checkpoint = _within_budget(checkpoint, spent_so_far(store, stored), shards)
            try:
                if shards > 1 and terminal:
                    batch = split(shards, paths, store, checkpoint, name, terminal.log)
                    stored.update(_complete_in_shards(batch, missing, rows, run, terminal))
                else:
                    stored.update(_complete_missing(missing, rows, checkpoint, run, terminal, start))
            finally:
                record_run(store, run, report)
    unanswered = [r["request_id"] for r in requests if r["request_id"] not in stored]
    if unanswered:
        raise EngineError(
            f"the engine returned no completion for {len(unanswered)} requests, for example {unanswered[0]}; run the "
            "same command again"
        )
    _require_few_errors(requests, stored, checkpoint.runtime.max_error_share)
    return [stored[request["request_id"]] for request in requests], run


def _within_budget(checkpoint: Checkpoint, spent: float, shards: int) -> Checkpoint:
    """Subtract the cost of earlier runs from ``max_cost_usd``, which limits all runs of a batch together."""
    if checkpoint.max_cost_usd is None:
        return checkpoint
    return checkpoint.model_copy(update={"max_cost_usd": max(0.0, checkpoint.max_cost_usd - spent) / shards})


def complete_shard(shard: Shard, terminal: Terminal) -> None:
    """Complete the missing requests of one shard; the job of the batch holds the row store's lock."""
    requests, _ = read_requests(shard.requests)
    requests = [request for request in requests if shard.owns(request["request_id"])]
    run = new_run()
    errors = []
    checkpoint = Checkpoint.model_validate(shard.checkpoint)
    flush_s = flush_interval(checkpoint)
    with RowStore(Path(shard.store), report=terminal.report, shard=True, flush_s=flush_s) as rows:
        stored = rows.get(request["request_id"] for request in requests)
        missing = [request for request in requests if request["request_id"] not in stored]
        run["reused"] = len(stored)
        if missing:
            completions = _complete_missing(missing, rows, checkpoint, run, terminal, open_engine)
            errors = [row for row in completions.values() if row["error"] is not None]
    shard.finish(run, errors)


def _complete_in_shards(
    shards: list[Shard], missing: list[dict[str, Any]], rows: RowStore, run: dict[str, Any], terminal: Terminal
) -> dict[str, dict[str, Any]]:
    """Run all shards and collect their completions from the row store, which has them even if another shard fails."""
    checkpoint = Checkpoint.model_validate(shards[0].checkpoint)
    errors, failed, began = [], [], time.monotonic()
    for shard, outcome in run_shards(shards, checkpoint.runtime.gpus, terminal.stream):
        if outcome is None:
            failed.append(shard)
            continue
        errors += outcome["errors"]
        for figure in ("errors", "prompt_tokens", "completion_tokens", "engine_starts", "cost_usd"):
            run[figure] += outcome["run"][figure]
        if outcome["run"].get("estimated"):
            run["estimated"] = run.get("estimated", 0) + outcome["run"]["estimated"]
        run["start_seconds"] = max(run["start_seconds"], outcome["run"]["start_seconds"])
    completions = rows.get(request["request_id"] for request in missing)
    completions.update({error["request_id"]: error for error in errors})
    run["answered"] = len(completions)
    run["seconds"] = round(time.monotonic() - began - run["start_seconds"], 1)
    if failed:
        logs = ", ".join(shard.log for shard in failed)
        raise EngineError(
            f"{len(failed)} of {len(shards)} shards failed; all completions so far are in the row store. Log files of "
            f"the failed shards: {logs}"
        )
    return completions


def _require_few_errors(requests: list[dict[str, Any]], completions: dict[str, dict[str, Any]], limit: float) -> None:
    """Fail if the share of failed requests exceeds a limit, and list the most frequent errors with a row of each.

    Raises
    ------
    EngineError
    """
    kinds: dict[str, list[str]] = {}
    for request in requests:
        error = completions[request["request_id"]]["error"]
        if error is not None:
            kinds.setdefault(re.sub(r"\d+", "0", error), []).append(f"{error} ({request['where']})")
    failed = sum(map(len, kinds.values()))
    if failed > limit * len(requests):
        frequent = sorted(kinds.values(), key=len, reverse=True)[:3]
        causes = "; ".join(f"{len(kind):,} of them: {kind[0]}" for kind in frequent)
        raise EngineError(
            f"{failed:,} of {len(requests):,} requests failed, more than {limit:.0%} of them. {causes}. All other "
            "completions are in the row store. Remove the cause and run again: only the failed requests are sent. To "
            "continue without these rows, raise runtime.max_error_share of this checkpoint."
        )


def _complete_missing(
    missing: list[dict[str, Any]],
    rows: RowStore,
    checkpoint: Checkpoint,
    run: dict[str, Any],
    terminal: Terminal | None,
    start: Callable[..., Engine],
) -> dict[str, dict[str, Any]]:
    """Start the required engines one after the other, and complete the missing requests.

    All completions but errors are added to the row store.
    """
    path, revision = _one_checkpoint(missing)
    began = time.monotonic()
    checkpoint = checkpoint.model_copy(update={"path": path})
    completions: dict[str, dict[str, Any]] = {}
    progress = Progress(terminal, len(missing), run["reused"])
    for name, requests in _by_engine(missing, checkpoint):
        modes = {request.request_id: request.decoding.get("reasoning") for request in requests}
        starting = time.monotonic()
        engine = start(checkpoint, path, None if checkpoint.is_local else revision, name, rows.folder)
        run["engine_starts"] += 1
        run["start_seconds"] = round(run["start_seconds"] + time.monotonic() - starting, 1)
        if terminal:
            terminal.report(
                f"engine started in {time.monotonic() - starting:.0f} s: {name}, {len(requests):,} requests"
            )
        try:
            for completion in engine.complete(requests):
                completion = apply_reasoning(completion, modes[completion.request_id])
                record = to_record(completion)
                completions[completion.request_id] = record
                if completion.error is None:
                    rows.add(record)
                else:
                    run["errors"] += 1
                run["prompt_tokens"] += completion.prompt_tokens
                run["completion_tokens"] += completion.completion_tokens
                run["cost_usd"] += completion.cost_usd
                if completion.estimated:
                    run["estimated"] = run.get("estimated", 0) + 1
                progress.add(1, completion.completion_tokens)
        finally:
            run["answered"] = len(completions)
            run["seconds"] = round(time.monotonic() - began - run["start_seconds"], 1)
            try:
                rows.flush()
            finally:
                engine.close()
    progress.report()
    if terminal and run.get("estimated"):
        terminal.report(f"{run['estimated']:,} replies without usage: their tokens and cost are estimates")
    return completions


def _by_engine(missing: list[dict[str, Any]], checkpoint: Checkpoint) -> list[tuple[str, list[Request]]]:
    """Group the requests by engine, in their order.

    vLLM comes first: on a GPU it starts its own process, which must happen before this process uses the GPU.
    """
    found: dict[str, list[Request]] = {}
    for request in map(to_request, missing):
        found.setdefault(engine_of(checkpoint, request.decoding), []).append(request)
    return sorted(found.items(), key=lambda item: item[0] != "vllm")


def _one_checkpoint(requests: list[dict[str, Any]]) -> tuple[str, str | None]:
    """Return path and revision of the checkpoint, which must be the same in all requests of a batch."""
    found = {(row["checkpoint"], row["revision"]) for row in requests}
    if len(found) > 1:
        listing = "; ".join(f"{path} at {revision}" for path, revision in sorted(found, key=str))
        raise TableError(
            f"the requests of this batch are for several checkpoints: {listing}; delete its request files and run again"
        )
    return found.pop()


def write_completions(path: str, rows: list[dict[str, Any]], cost_path: str, cost: dict[str, Any]) -> None:
    """Write the completions and the cost file, each atomically."""
    write_table(path, rows, COMPLETIONS)
    with atomic_write(cost_path, "w") as file:
        json.dump(cost, file, indent=1, sort_keys=True)
