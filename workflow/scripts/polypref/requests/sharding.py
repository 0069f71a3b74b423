"""A batch that several engines share: each is a process with its own GPUs, its own log and its own journal.

The split is by request id, and all write into one row store, so another number of shards recomputes nothing and makes
nothing stale. They are parts of one job, not jobs of their own: the number of jobs would be a list of inputs to
Snakemake, and changing it would run the batch again (docs/architecture.md).
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

from polypref.files.tables import atomic_write, canonical_json
from polypref.running.slurm import job_nodes, step_environment, step_on_nodes


@dataclass(frozen=True)
class Shard:
    """What one engine of several answers: requests whose id falls on ``index`` of ``count``."""

    index: int
    count: int
    requests: list[str]
    store: str
    checkpoint: dict[str, Any]
    name: str
    log: str

    def owns(self, request_id: str) -> bool:
        """Whether a request is this shard's; every request is exactly one shard's."""
        return int(request_id[:8], 16) % self.count == self.index

    @property
    def outcome(self) -> Path:
        """Where the shard says how it went: its figures, and the errors, which the row store does not keep."""
        return Path(self.store) / f"shard-{self.index + 1}-of-{self.count}.json"

    def finish(self, run: dict[str, Any], errors: list[dict[str, Any]]) -> None:
        """Write :attr:`outcome`."""
        with atomic_write(self.outcome, "w") as file:
            file.write(canonical_json({"run": run, "errors": errors}))


def split(count: int, requests: list[str], store: Path, checkpoint: Any, name: str, log: str) -> list[Shard]:
    """The shards of a batch; each logs beside the batch's log."""
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
    """Run all shards at once, here or over the nodes of this Slurm job.

    Parameters
    ----------
    gpus : of one shard
    stream : what the user watches; each shard writes its progress there and the rest into its own log

    Yields
    ------
    Each shard with its outcome {run, errors}, or None where it failed.
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
    """One process per shard on this node, each with the next ``gpus`` of the visible GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(i) for i in range(gpus * len(shards))]
    running = []
    for i, shard in enumerate(shards):
        mine = {"CUDA_VISIBLE_DEVICES": ",".join(devices[i * gpus : (i + 1) * gpus])} if gpus else {}
        running.append(_feed(_command("answer"), shard, {**os.environ, **mine}, stream))
    return running


def start_on_node(node: str, shards: list[Shard], gpus: int, stream: IO[str] | None) -> list[subprocess.Popen[str]]:
    """A Slurm step on a node of this job, which starts the node's shards there."""
    if not shards:
        return []
    step = step_on_nodes(1, gpus * len(shards), node)
    return [_feed([*step, *_command("node", str(gpus))], shards, step_environment(os.environ), stream)]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve().parents[2] / "complete_shard.py"), *arguments]


def _feed(
    command: list[str], what: Shard | list[Shard], environment: dict[str, str], stream: IO[str] | None
) -> subprocess.Popen[str]:
    """Start a process and hand it its work on standard input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=stream, text=True, env=environment)
    shards = what if isinstance(what, list) else [what]
    assert process.stdin is not None
    process.stdin.write(json.dumps([asdict(shard) for shard in shards]))
    process.stdin.close()
    return process
