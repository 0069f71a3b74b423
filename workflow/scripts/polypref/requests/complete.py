"""Complete: answer all requests of a batch, from the row store where it holds the answer, else by the engine."""

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
from polypref.requests.row_store import RowStore
from polypref.requests.sharding import Shard, run_shards, split
from polypref.running.logs import Progress, Terminal
from polypref.running.runs import keep_run, new_run, spent_so_far

_COLUMNS = tuple(COMPLETIONS.names)
MAX_LOSS_S = 5.0
"""Answers are in the store at most this many seconds after they came, whatever the registry's flush_s says."""


def flush_interval(checkpoint: Checkpoint) -> float:
    """Seconds between two writes of answers to the row store."""
    return min(checkpoint.runtime.flush_s, MAX_LOSS_S)


def read_requests(paths: Iterable[str]) -> tuple[list[dict[str, Any]], int]:
    """Unique requests of a batch in the order of files and rows, and the number of rows that ask."""
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
    """A request row as engines take it; a sampled one gets the seed that its id implies."""
    decoding = json.loads(row["decoding"])
    if decoding.get("temperature", 0) > 0:
        decoding["seed"] = seed_of(row["request_id"])
    return Request(row["request_id"], row["messages"], decoding)


def to_record(completion: Completion) -> dict[str, Any]:
    """A completion as a row in COMPLETIONS."""
    record = {name: getattr(completion, name) for name in _COLUMNS}  # dataclasses.asdict copies deeply, and slowly
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
    """Answer the requests in some files.

    Parameters
    ----------
    paths : files in REQUESTS
    store : folder of the batch's row store
    checkpoint : registry entry; its ``path`` may be replaced by that in the requests (a trained variant)
    start : opens the engine; it is called only when an answer is missing, and once
    name : of the batch, for its shards

    Returns
    -------
    rows in COMPLETIONS, one per unique request in order, and the figures of this run.

    Raises
    ------
    EngineError, TableError, StoreError
        Whatever was answered by then is in the row store. Also when more than ``runtime.max_error_share`` of the
        requests failed.
    """
    requests, asked = read_requests(paths)
    run = {"requests": asked, "unique_requests": len(requests), **new_run()}
    run["gpus"] = checkpoint.runtime.of_batch("gpus")
    say = terminal.say if terminal else print
    shards = checkpoint.runtime.shards
    with RowStore(store, report=say, flush_s=flush_interval(checkpoint)) as rows:
        held = rows.get(request["request_id"] for request in requests)
        missing = [request for request in requests if request["request_id"] not in held]
        run["reused"] = len(held)
        if missing:
            say(f"{len(missing):,} requests to answer with {checkpoint.path}, {len(held):,} are in the row store")
            checkpoint = _within_budget(checkpoint, spent_so_far(store, held), shards)
            try:
                if shards > 1 and terminal:
                    batch = split(shards, paths, store, checkpoint, name, terminal.log)
                    held.update(_answer_in_shards(batch, missing, rows, run, terminal))
                else:
                    held.update(_answer(missing, rows, checkpoint, run, terminal, start))
            finally:
                keep_run(store, run, say)
    unanswered = [r["request_id"] for r in requests if r["request_id"] not in held]
    if unanswered:
        raise EngineError(
            f"the engine gave no answer to {len(unanswered)} requests, {unanswered[0]} for one; run again"
        )
    _require_few_errors(requests, held, checkpoint.runtime.max_error_share)
    return [held[request["request_id"]] for request in requests], run


def _within_budget(checkpoint: Checkpoint, spent: float, shards: int) -> Checkpoint:
    """The registry entry with what is left of ``max_cost_usd``, which holds for a batch and all its runs together."""
    if checkpoint.max_cost_usd is None:
        return checkpoint
    return checkpoint.model_copy(update={"max_cost_usd": max(0.0, checkpoint.max_cost_usd - spent) / shards})


def complete_shard(shard: Shard, terminal: Terminal) -> None:
    """Answer what is missing of one shard of a batch whose job holds the row store."""
    requests, _ = read_requests(shard.requests)
    requests = [request for request in requests if shard.owns(request["request_id"])]
    run = new_run()
    errors = []
    checkpoint = Checkpoint.model_validate(shard.checkpoint)
    flush_s = flush_interval(checkpoint)
    with RowStore(Path(shard.store), report=terminal.say, shard=True, flush_s=flush_s) as rows:
        held = rows.get(request["request_id"] for request in requests)
        missing = [request for request in requests if request["request_id"] not in held]
        run["reused"] = len(held)
        if missing:
            answers = _answer(missing, rows, checkpoint, run, terminal, open_engine)
            errors = [answer for answer in answers.values() if answer["error"] is not None]
    shard.finish(run, errors)


def _answer_in_shards(
    shards: list[Shard], missing: list[dict[str, Any]], rows: RowStore, run: dict[str, Any], terminal: Terminal
) -> dict[str, dict[str, Any]]:
    """Have a shard each answer its part; what they answered is in the row store, also where one of them failed."""
    checkpoint = Checkpoint.model_validate(shards[0].checkpoint)
    errors, failed, began = [], [], time.monotonic()
    for shard, outcome in run_shards(shards, checkpoint.runtime.gpus, terminal.stream):
        if outcome is None:
            failed.append(shard)
            continue
        errors += outcome["errors"]
        for figure in ("errors", "prompt_tokens", "completion_tokens", "engine_starts", "cost_usd"):
            run[figure] += outcome["run"][figure]
        run["start_seconds"] = max(run["start_seconds"], outcome["run"]["start_seconds"])
    answers = rows.get(request["request_id"] for request in missing)
    answers.update({error["request_id"]: error for error in errors})
    run["answered"] = len(answers)
    run["seconds"] = round(time.monotonic() - began - run["start_seconds"], 1)
    if failed:
        logs = ", ".join(shard.log for shard in failed)
        raise EngineError(
            f"{len(failed)} of {len(shards)} shards failed; what was answered is in the row store. Their logs: {logs}"
        )
    return answers


def _require_few_errors(requests: list[dict[str, Any]], answers: dict[str, dict[str, Any]], most: float) -> None:
    """Fail when more than a share of a batch is errors, with the commonest of them and a row for each.

    Raises
    ------
    EngineError
    """
    kinds: dict[str, list[str]] = {}
    for request in requests:
        error = answers[request["request_id"]]["error"]
        if error is not None:
            kinds.setdefault(re.sub(r"\d+", "0", error), []).append(f"{error} ({request['where']})")
    failed = sum(map(len, kinds.values()))
    if failed > most * len(requests):
        commonest = sorted(kinds.values(), key=len, reverse=True)[:3]
        causes = "; ".join(f"{len(kind):,} of them: {kind[0]}" for kind in commonest)
        raise EngineError(
            f"{failed:,} of {len(requests):,} requests failed, more than {most:.0%} of them. {causes}. What succeeded "
            "is in the row store. Remove the cause and run again: only what failed is asked. To go on without these "
            "rows, raise runtime.max_error_share of this checkpoint."
        )


def _answer(
    missing: list[dict[str, Any]],
    rows: RowStore,
    checkpoint: Checkpoint,
    run: dict[str, Any],
    terminal: Terminal | None,
    start: Callable[..., Engine],
) -> dict[str, dict[str, Any]]:
    """Start the engines that are needed, one after the other, and put every answer into the row store within seconds.

    Errors are not kept there.
    """
    path, revision = _one_checkpoint(missing)
    began = time.monotonic()
    checkpoint = checkpoint.model_copy(update={"path": path})
    answers: dict[str, dict[str, Any]] = {}
    progress = Progress(terminal, len(missing), run["reused"])
    for name, asked in _by_engine(missing, checkpoint):
        starting = time.monotonic()
        engine = start(checkpoint, path, None if checkpoint.is_local else revision, name)
        run["engine_starts"] += 1
        run["start_seconds"] = round(run["start_seconds"] + time.monotonic() - starting, 1)
        if terminal:
            terminal.say(f"engine started in {time.monotonic() - starting:.0f} s: {name}, {len(asked):,} requests")
        try:
            for completion in engine.answer(asked):
                record = to_record(completion)
                answers[completion.request_id] = record
                if completion.error is None:
                    rows.add(record)
                else:
                    run["errors"] += 1
                run["prompt_tokens"] += completion.prompt_tokens
                run["completion_tokens"] += completion.completion_tokens
                run["cost_usd"] += completion.cost_usd
                progress.add(1, completion.completion_tokens)
        finally:
            run["answered"] = len(answers)
            run["seconds"] = round(time.monotonic() - began - run["start_seconds"], 1)
            try:
                rows.flush()
            finally:
                engine.close()
    progress.say()
    return answers


def _by_engine(missing: list[dict[str, Any]], checkpoint: Checkpoint) -> list[tuple[str, list[Request]]]:
    """Requests by the engine that answers them, in the order of the requests.

    vLLM comes first: on a GPU it starts a process of its own, best before this one has used the GPU.
    """
    found: dict[str, list[Request]] = {}
    for request in map(to_request, missing):
        found.setdefault(engine_of(checkpoint, request.decoding), []).append(request)
    return sorted(found.items(), key=lambda item: item[0] != "vllm")


def _one_checkpoint(requests: list[dict[str, Any]]) -> tuple[str, str | None]:
    """Path and revision that all requests of a batch must share."""
    found = {(row["checkpoint"], row["revision"]) for row in requests}
    if len(found) > 1:
        listing = "; ".join(f"{path} at {revision}" for path, revision in sorted(found, key=str))
        raise TableError(f"the requests of this batch are for several checkpoints: {listing}. Ask again.")
    return found.pop()


def write_completions(path: str, rows: list[dict[str, Any]], cost_path: str, cost: dict[str, Any]) -> None:
    """Write the completions and the figures, each whole or not at all."""
    write_table(path, rows, COMPLETIONS)
    with atomic_write(cost_path, "w") as file:
        json.dump(cost, file, indent=1, sort_keys=True)
