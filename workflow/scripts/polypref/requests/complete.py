"""Completing a batch: reuse the completions in its row store, and send only the missing requests to the engine."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from polypref.config.sections import Checkpoint
from polypref.files.columns import take_rows
from polypref.files.tables import atomic_write, canonical_json
from polypref.requests.batch import Batch
from polypref.requests.completions import new_rows, write_completions
from polypref.requests.engines import Completion, Engine, EngineError, Request, engine_of, open_engine
from polypref.requests.failures import Failures
from polypref.requests.reasoning import apply_reasoning
from polypref.requests.row_store import RowStore
from polypref.requests.sharding import Shard, run_shards, split
from polypref.running.logs import Progress, Terminal
from polypref.running.runs import new_run, record_run, spent_so_far

MAX_LOSS_S = 5.0
"""Upper limit of the flush interval, whatever ``flush_s`` in the registry is."""
OBJECTS_PER_COLLECTION = 50_000
"""New objects after which garbage is collected. Python's 700 cost a fifth of the time: rows are read in thousands."""


def flush_interval(checkpoint: Checkpoint) -> float:
    """Return the seconds between two flushes of the row store."""
    return min(checkpoint.runtime.flush_s, MAX_LOSS_S)


def to_record(completion: Completion) -> dict[str, Any]:
    """Convert a completion to a row in COMPLETIONS."""
    logprobs = completion.logprobs
    return {
        "request_id": completion.request_id,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "logprobs": None if logprobs is None else canonical_json({k: round(v, 6) for k, v in logprobs.items()}),
        "cost_usd": completion.cost_usd,
        "error": completion.error,
    }


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Collect garbage rarely; rows contain no reference cycles, and are freed without it."""
    threshold = gc.get_threshold()
    gc.set_threshold(OBJECTS_PER_COLLECTION, *threshold[1:])
    try:
        yield
    finally:
        gc.set_threshold(*threshold)


@rare_collections()
def complete(
    paths: list[str],
    store: Path,
    checkpoint: Checkpoint,
    output: Path,
    terminal: Terminal | None = None,
    start: Callable[..., Engine] = open_engine,
    name: str = "batch",
) -> dict[str, Any]:
    """Complete the requests of a batch, and write their completions (see :mod:`polypref.requests.completions`).

    Neither requests nor completions are in memory, only the index of their ids.

    Parameters
    ----------
    paths : files in REQUESTS
    store : folder of the batch's row store
    checkpoint : registry entry; a path in the requests (a trained policy) replaces its ``path``
    output : file of completions
    start : function that starts the engine; called once if a completion is missing, otherwise not at all
    name : name of the batch, for the names of its shards

    Returns
    -------
    The figures of this run.

    Raises
    ------
    EngineError, TableError, StoreError
        The run failed, or more than ``runtime.max_error_share`` of the requests did. All completions so far are in
        the row store.
    """
    batch = Batch(paths)
    run = {"requests": batch.slots, "unique_requests": len(batch), **new_run()}
    run["gpus"] = checkpoint.runtime.of_batch("gpus")
    report = terminal.report if terminal else print
    shards = checkpoint.runtime.shards
    errors = Failures(batch)
    with RowStore(store, report=report, flush_s=flush_interval(checkpoint)) as rows:
        missing = np.ones(len(batch), bool)
        spent = _look_up(batch, rows, missing)
        run["reused"] = len(batch) - int(missing.sum())
        if missing.any():
            report(
                f"{missing.sum():,} requests to complete with {checkpoint.path}; "
                f"{run['reused']:,} completions are already in the row store"
            )
            checkpoint = _within_budget(checkpoint, spent_so_far(store, spent), shards)
            try:
                if shards > 1 and terminal:
                    divided = split(shards, paths, store, checkpoint, name, terminal.log)
                    _complete_in_shards(divided, batch, missing, rows, errors, run, terminal)
                else:
                    _complete_missing(batch, missing, rows, errors, checkpoint, run, terminal, start)
            finally:
                record_run(store, run, report)
        if missing.any():
            raise EngineError(
                f"the engine returned no completion for {missing.sum()} requests, for example "
                f"{batch.example(missing)}; run the same command again"
            )
        errors.require_few(checkpoint.runtime.max_error_share)
        rows.seal()
        lost = write_completions(output, batch, itertools.chain(rows.tables(), errors.tables()))
    if lost.any():
        raise EngineError(f"{lost.sum()} completions were damaged in the meantime; run the same command again")
    return run


def _look_up(batch: Batch, rows: RowStore, missing: np.ndarray) -> float:
    """Mark the requests that are in the row store as not missing; return the sum of their costs in USD."""
    spent = 0.0
    for table in rows.tables():
        found, _ = new_rows(batch, table, missing)
        spent += sum(filter(None, take_rows(table.select(["cost_usd"]), found)["cost_usd"].to_pylist()))
    return spent


def _within_budget(checkpoint: Checkpoint, spent: float, shards: int) -> Checkpoint:
    """Subtract the cost of earlier runs from ``max_cost_usd``, which limits all runs of a batch together."""
    if checkpoint.max_cost_usd is None:
        return checkpoint
    return checkpoint.model_copy(update={"max_cost_usd": max(0.0, checkpoint.max_cost_usd - spent) / shards})


@rare_collections()
def complete_shard(shard: Shard, terminal: Terminal) -> None:
    """Complete the missing requests of one shard; the job of the batch holds the row store's lock."""
    batch = Batch(shard.requests, shard.owns_keys)
    run = new_run()
    errors = Failures(batch)
    checkpoint = Checkpoint.model_validate(shard.checkpoint)
    flush_s = flush_interval(checkpoint)
    with RowStore(Path(shard.store), report=terminal.report, shard=True, flush_s=flush_s) as rows:
        missing = np.ones(len(batch), bool)
        _look_up(batch, rows, missing)
        run["reused"] = len(batch) - int(missing.sum())
        if missing.any():
            _complete_missing(batch, missing, rows, errors, checkpoint, run, terminal, open_engine)
    shard.finish(run, [record for table in errors.tables() for record in table.to_pylist()])


def _complete_in_shards(
    shards: list[Shard],
    batch: Batch,
    missing: np.ndarray,
    rows: RowStore,
    errors: Failures,
    run: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Run all shards; the row store then has their completions, even if another shard failed."""
    checkpoint = Checkpoint.model_validate(shards[0].checkpoint)
    failed, began, before = [], time.monotonic(), set(rows.parts())
    for shard, outcome in run_shards(shards, checkpoint.runtime.gpus, terminal.stream):
        if outcome is None:
            failed.append(shard)
            continue
        for error in outcome["errors"]:
            errors.add(error)
        for figure in ("errors", "prompt_tokens", "completion_tokens", "engine_starts", "cost_usd"):
            run[figure] += outcome["run"][figure]
        if outcome["run"].get("estimated"):
            run["estimated"] = run.get("estimated", 0) + outcome["run"]["estimated"]
        run["start_seconds"] = max(run["start_seconds"], outcome["run"]["start_seconds"])
    unanswered = int(missing.sum())
    for table in itertools.chain(rows.tables(before), errors.tables()):
        new_rows(batch, table, missing)
    run["answered"] = unanswered - int(missing.sum())
    run["seconds"] = round(time.monotonic() - began - run["start_seconds"], 1)
    if failed:
        logs = ", ".join(shard.log for shard in failed)
        raise EngineError(
            f"{len(failed)} of {len(shards)} shards failed; all completions so far are in the row store. Log files of "
            f"the failed shards: {logs}"
        )


def _complete_missing(
    batch: Batch,
    missing: np.ndarray,
    rows: RowStore,
    errors: Failures,
    checkpoint: Checkpoint,
    run: dict[str, Any],
    terminal: Terminal | None,
    start: Callable[..., Engine],
) -> None:
    """Start the required engines one after the other, complete the missing requests, and mark them in ``missing``.

    All completions but errors are added to the row store.
    """
    path, revision, counts = batch.one_checkpoint(missing)
    began = time.monotonic()
    checkpoint = checkpoint.model_copy(update={"path": path})
    progress = Progress(terminal, int(missing.sum()), run["reused"])
    for name, decodings in _by_engine(counts, checkpoint):
        starting = time.monotonic()
        engine = start(checkpoint, path, None if checkpoint.is_local else revision, name, rows.folder)
        run["engine_starts"] += 1
        run["start_seconds"] = round(run["start_seconds"] + time.monotonic() - starting, 1)
        if terminal:
            terminal.report(
                f"engine started in {time.monotonic() - starting:.0f} s: {name}, "
                f"{sum(counts[decoding] for decoding in decodings):,} requests"
            )
        sent: dict[str, tuple[int, str | None]] = {}  # key and reasoning mode of the requests that are in the engine

        def requests(decodings=decodings, sent=sent) -> Iterator[Request]:
            for key, request in batch.requests(missing.copy(), decodings):
                sent[request.request_id] = key, request.decoding.get("reasoning")
                yield request

        try:
            for completion in engine.complete(requests()):
                key, mode = sent.pop(completion.request_id)
                completion = apply_reasoning(completion, mode)
                record = to_record(completion)
                missing[key] = False
                run["answered"] += 1
                if completion.error is None:
                    rows.add(record)
                else:
                    errors.add(record)
                    run["errors"] += 1
                run["prompt_tokens"] += completion.prompt_tokens
                run["completion_tokens"] += completion.completion_tokens
                run["cost_usd"] += completion.cost_usd
                if completion.estimated:
                    run["estimated"] = run.get("estimated", 0) + 1
                progress.add(1, completion.completion_tokens)
        finally:
            run["seconds"] = round(time.monotonic() - began - run["start_seconds"], 1)
            try:
                rows.flush()
            finally:
                engine.close()
    progress.report()
    if terminal and run.get("estimated"):
        terminal.report(f"{run['estimated']:,} replies without usage: their tokens and cost are estimates")


def _by_engine(counts: dict[str, int], checkpoint: Checkpoint) -> list[tuple[str, set[str]]]:
    """Group the decodings of the requests by engine, in their order.

    vLLM comes first: on a GPU it starts its own process, which must happen before this process uses the GPU.
    """
    found: dict[str, set[str]] = {}
    for decoding in counts:
        found.setdefault(engine_of(checkpoint, json.loads(decoding)), set()).add(decoding)
    return sorted(found.items(), key=lambda item: item[0] != "vllm")


def write_cost(path: str, cost: dict[str, Any]) -> None:
    """Write the cost file atomically."""
    with atomic_write(path, "w") as file:
        json.dump(cost, file, indent=1, sort_keys=True)
