"""Shards of a batch: several engine processes, each with its own GPUs, log file and journal.

Requests are divided by their id, and all shards write to one row store, so changing the number of shards recomputes
nothing and makes nothing stale. Shards are processes of one job. If they were separate jobs, their outputs would be the
inputs of the batch, and Snakemake would rerun the batch whenever their number changed (docs/architecture.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from polypref.files.tables import atomic_write, canonical_json
from polypref.running.slurm import job_nodes, step_environment, step_on_nodes


@dataclass(frozen=True)
class Shard:
    """Shard number ``index`` of ``count``, with the files and settings of its batch."""

    index: int
    count: int
    requests: list[str]
    store: str
    checkpoint: dict[str, Any]
    name: str
    log: str

    def owns(self, request_id: str) -> bool:
        """Return whether a request belongs to this shard; every request belongs to exactly one shard."""
        return int(request_id[:8], 16) % self.count == self.index

    def owns_keys(self, keys: np.ndarray) -> np.ndarray:
        """Return whether each key, [request, 2] of uint64, belongs to this shard, as :meth:`owns` does for its id."""
        return (keys[:, 0] >> np.uint64(32)) % np.uint64(self.count) == self.index

    @property
    def outcome(self) -> Path:
        """File with the shard's figures and its errors, which the row store does not contain."""
        return Path(self.store) / f"shard-{self.index + 1}-of-{self.count}.json"

    def finish(self, run: dict[str, Any], errors: list[dict[str, Any]]) -> None:
        """Write the figures and errors to :attr:`outcome`."""
        with atomic_write(self.outcome, "w") as file:
            file.write(canonical_json({"run": run, "errors": errors}))


def split(count: int, requests: list[str], store: Path, checkpoint: Any, name: str, log: str) -> list[Shard]:
    """Create the shards of a batch; their log files are in the folder of the batch's log file."""
    stem = Path(log).with_suffix("")
    return [
        Shard(
            *(i, count, requests, str(store), checkpoint.model_dump(mode="json")),
            name=f"{name} {i + 1}/{count}",
            log=f"{stem}.shard-{i + 1}-of-{count}.log",
        )
        for i in range(count)
    ]


def run_shards(
    shards: list[Shard], gpus: int, stream: IO[str] | None = None
) -> Iterator[tuple[Shard, dict[str, Any] | None]]:
    """Run all shards in parallel, on this machine or on the nodes of this Slurm job.

    Parameters
    ----------
    gpus : number of GPUs per shard
    stream : terminal for progress lines; all other output of a shard goes to its own log file

    Yields
    ------
    Each shard with its outcome {run, errors}, or None if the shard failed.
    """
    for shard in shards:
        shard.outcome.unlink(missing_ok=True)
    nodes = job_nodes(os.environ)
    nodes = nodes if len(nodes) > 1 else []
    groups = [shards[i :: len(nodes)] for i in range(len(nodes))] if nodes else [shards]
    running: list[subprocess.Popen[str]] = []
    try:
        for node, group in zip(nodes or [None], groups, strict=True):
            running += start_on_node(node, group, gpus, stream) if node else start_here(group, gpus, stream)
        for process in running:
            process.wait()
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            process.wait()
    for shard in shards:
        found = json.loads(shard.outcome.read_text(encoding="utf-8")) if shard.outcome.exists() else None
        shard.outcome.unlink(missing_ok=True)
        yield shard, found


def start_here(shards: list[Shard], gpus: int, stream: IO[str] | None = None) -> list[subprocess.Popen[str]]:
    """Start one process per shard on this node, each with its own ``gpus`` of the visible GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(i) for i in range(gpus * len(shards))]
    running = []
    for i, shard in enumerate(shards):
        own_gpus = {"CUDA_VISIBLE_DEVICES": ",".join(devices[i * gpus : (i + 1) * gpus])} if gpus else {}
        running.append(_start_process(_command("answer"), [shard], {**os.environ, **own_gpus}, stream))
    return running


def start_on_node(node: str, shards: list[Shard], gpus: int, stream: IO[str] | None) -> list[subprocess.Popen[str]]:
    """Start a Slurm step on a node of this job; the step starts the shards of that node."""
    if not shards:
        return []
    step = step_on_nodes(1, gpus * len(shards), node)
    return [_start_process([*step, *_command("node", str(gpus))], shards, step_environment(os.environ), stream)]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve().parents[2] / "complete_shard.py"), *arguments]


def _start_process(
    command: list[str], shards: list[Shard], environment: dict[str, str], stream: IO[str] | None
) -> subprocess.Popen[str]:
    """Start a process and pass it the shards as JSON on standard input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=stream, text=True, env=environment)
    assert process.stdin is not None
    process.stdin.write(json.dumps([asdict(shard) for shard in shards]))
    process.stdin.close()
    return process
