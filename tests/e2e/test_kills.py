"""Kills at random moments: no stored row is lost or changed, few are asked twice, and the texts stay the same.

Two batches of the finished miniature are answered again from an empty row store and disturbed over and over, until they
are done: vLLM (sampled and beam search) and the translation model, which is split over two shards.
POLYPREF_KILL_SEED sets the moments; it is printed.
"""

import contextlib
import copy
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml

from polypref.requests.row_store import RowStore

ROOT = Path(__file__).parents[2]
KILLS = 16
"""Of each of the two batches."""


@dataclass
class Batch:
    """A batch of a finished run, to be answered again from nothing in a folder of its own."""

    folder: Path
    name: str
    config: dict
    longest_s: float
    events: list[str] = field(default_factory=list)
    lost: int = 0
    asked_twice: int = 0

    @property
    def store(self) -> Path:
        return self.folder / "results/store" / self.name

    @property
    def target(self) -> str:
        return f"results/completions/{self.name}.parquet"

    @property
    def bytes(self) -> bytes:
        return (self.folder / self.target).read_bytes()

    def empty(self) -> None:
        """Forget all answers."""
        shutil.rmtree(self.store, ignore_errors=True)
        (self.folder / self.target).unlink(missing_ok=True)

    def command(self, *options: str) -> list[str]:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, allow_unicode=True), encoding="utf-8")
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"),
            *("--directory", str(self.folder), "--configfile", str(path), *options, "--", self.target),
        ]

    def start(self, *options: str, said: str = "said.txt", inside: tuple[str, ...] = ()) -> subprocess.Popen:
        """Start Snakemake; ``inside``: a shell line that runs it as "$@", in a file system namespace of its own."""
        command = [*inside, *self.command(*options)]
        with open(self.folder / said, "w") as file:
            return subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"},
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    def run(self, *options: str) -> str:
        """Run to the end; Snakemake's own lock of a run that was killed is taken off first, as its message says."""
        if (self.folder / ".snakemake/locks").exists() and any((self.folder / ".snakemake/locks").iterdir()):
            assert self.start("--unlock").wait(300) == 0, self.said()
        code = self.start(*options).wait(900)
        return self.said() if code == 0 else f"{self.said()}\nexit code {code}"

    def rows(self) -> dict[str, dict]:
        """Everything the row store holds now."""
        return {record["request_id"]: record for record in RowStore(self.store, report=self.events.append).records()}

    def answers_that_came(self) -> int:
        """How many answers the engine of the last run gave, flushed or not; shards do not say."""
        lock = self.store / "writer.lock"
        said = re.search(r"\(([\d,]+) completions so far", lock.read_text()) if lock.exists() else None
        return int(said[1].replace(",", "")) if said else 0

    def processes(self, snakemake: subprocess.Popen) -> dict[str, list[psutil.Process]]:
        """What runs below Snakemake: the job, and its shards."""
        found: dict[str, list[psutil.Process]] = {"job": [], "shard": []}
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(snakemake.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    line = " ".join(process.cmdline())
                    if line.endswith("complete_shard.py answer"):
                        found["shard"].append(process)
                    elif re.search(r"scripts/\S*complete\.py$", line):
                        found["job"].append(process)
        return found

    def wait_for_job(self, snakemake: subprocess.Popen) -> None:
        began = time.monotonic()
        while snakemake.poll() is None and not self.processes(snakemake)["job"] and time.monotonic() < began + 300:
            time.sleep(0.1)

    def wait_for_rows(self, snakemake: subprocess.Popen, more_than: int = 0) -> None:
        began = time.monotonic()
        while snakemake.poll() is None and len(self.rows()) <= more_than and time.monotonic() < began + 300:
            time.sleep(0.1)


def disturb(batch: Batch, kind: str, moments: random.Random) -> bool:
    """Start the batch, wait for a moment, do what ``kind`` says, and look whether the row store has kept everything.

    Returns
    -------
    whether there was something to disturb; a batch that was done before is begun again from nothing
    """
    kept = batch.rows()
    if any((batch.folder / ".snakemake/locks").glob("*")):
        assert batch.start("--unlock").wait(300) == 0, batch.said()
    if (lock := batch.store / "writer.lock").exists():
        lock.write_text("")
    snakemake = batch.start()
    batch.wait_for_job(snakemake)
    if moments.random() < 0.7:  # most kills come while answers do, the others while the engine starts
        batch.wait_for_rows(snakemake, more_than=len(kept))
    wait_until = time.monotonic() + moments.uniform(0, batch.longest_s)
    while snakemake.poll() is None and time.monotonic() < wait_until:
        time.sleep(0.05)
    if snakemake.poll() is not None:  # it was done before
        assert snakemake.returncode == 0, batch.said()
        batch.empty()
        return False
    found = batch.processes(snakemake)
    survivors = [process for processes in found.values() for process in processes]
    if kind == "job" and found["job"]:
        found["job"][0].kill()
    elif kind == "engine" and (found["shard"] or found["job"]):
        moments.choice(found["shard"] or found["job"]).kill()
    elif kind == "ctrl-c":
        os.killpg(snakemake.pid, signal.SIGINT)
    elif kind == "machine":
        os.killpg(snakemake.pid, signal.SIGKILL)
    else:
        snakemake.kill()
    snakemake.wait(120)
    # What is left runs on (a job without Snakemake, shards without their job), and the next run waits for it; or it is
    # killed some seconds later.
    if moments.random() < 0.5 or kind in ("engine", "ctrl-c", "machine"):
        time.sleep(moments.uniform(0, 3))
        for process in survivors:
            if process.is_running():
                process.kill()
        psutil.wait_procs(survivors, 60)
    after = batch.rows()
    batch.lost += sum(after.get(key) != record for key, record in kept.items())
    grown, came = len(after) - len(kept), batch.answers_that_came()
    batch.asked_twice += max(0, came - grown)
    batch.events.append(f"{kind}: {grown} rows more of {came}, {len(after)} in all")
    return True


def chain(batch: Batch, kinds: list[str], seed: int) -> Batch:
    moments = random.Random(seed)
    batch.empty()
    for kind in kinds:
        while not disturb(batch, kind, moments):
            pass
    output = batch.run()
    assert "exit code" not in output, output
    return batch


@pytest.fixture(scope="module")
def batches(miniature, tmp_path_factory) -> dict[str, Batch]:
    """Copies of the finished miniature: vLLM's longest batch, and the translation model's in two slow shards."""
    made = {}
    for name, longest_s in (("translate/strong", 6.0), ("translate/nllb", 1.0)):
        folder = tmp_path_factory.mktemp("killed")
        for part in ("results", ".snakemake", "data"):
            shutil.copytree(miniature.folder / part, folder / part, symlinks=True)
        config = copy.deepcopy(miniature.config)
        registry = yaml.safe_load((ROOT / config["registry"]).read_text(encoding="utf-8"))
        entry = registry["checkpoints"]["nllb"]
        entry["runtime"] = {**entry["runtime"], "shards": 2, "flush_s": 0.2}
        config["checkpoints"] = {"nllb": entry}
        made[name] = Batch(folder, name, config, longest_s)
    return made


def test_kills_lose_nothing(batches, miniature, record_property):
    """More than thirty kills of engines, jobs, Snakemake and whole machines."""
    seed = int(os.environ.get("POLYPREF_KILL_SEED", random.randrange(10**6)))
    kinds = ["engine", "machine", "ctrl-c", "snakemake", "job", "engine", "machine", "job"] * (KILLS // 8)
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda batch: chain(batch, kinds, seed), batches.values()))
    record_property("figures", f"POLYPREF_KILL_SEED={seed}")
    for batch in done:
        counts = f"{len(batch.events)} kills, {batch.lost} rows lost, {batch.asked_twice} asked twice"
        record_property("figures", f"{batch.name}: {counts}\n  {'; '.join(batch.events)}")
    for batch in done:
        undisturbed = (miniature.folder / batch.target).read_bytes()
        assert batch.lost == 0
        assert batch.bytes == undisturbed, f"{batch.name}: the disturbed texts differ (seed {seed})"
        ids = [record["request_id"] for record in RowStore(batch.store).records()]
        assert len(ids) == len(set(ids)), "a row is stored twice"


def test_what_outlives_its_run_is_waited_for(batches, miniature):
    """Snakemake is killed and its job runs on: the next run takes what it answered and starts no engine."""
    batch = batches["translate/nllb"]
    batch.empty()
    snakemake = batch.start()
    batch.wait_for_rows(snakemake)
    orphans = [process for processes in batch.processes(snakemake).values() for process in processes]
    for process in orphans:
        process.suspend()
    snakemake.kill()
    snakemake.wait()
    assert batch.start("--unlock").wait(300) == 0, batch.said()
    again = batch.start()
    began = time.monotonic()
    while "waiting for process" not in batch.said() and again.poll() is None and time.monotonic() < began + 120:
        time.sleep(0.2)
    for process in orphans:
        process.resume()
    assert again.wait(300) == 0, batch.said()
    output = batch.said()
    assert "which is still writing this batch" in output, output
    assert "engine started" not in output and batch.bytes == (miniature.folder / batch.target).read_bytes()


def test_two_runs_at_once(batches, miniature):
    batch = batches["translate/nllb"]
    batch.empty()
    first = batch.start()
    batch.wait_for_job(first)
    second = batch.start(said="second.txt")
    assert second.wait(120) != 0
    assert "cannot be locked" in (batch.folder / "second.txt").read_text()
    assert first.wait(600) == 0, batch.said()
    assert batch.bytes == (miniature.folder / batch.target).read_bytes()


NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
MOUNTS = subprocess.run([*NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode == 0


def test_a_full_disk(batches, miniature):
    """48 kB of room on the disk, or, where none can be mounted, in a file: one message, and nothing is lost."""
    batch = batches["translate/nllb"]
    batch.empty()
    batch.store.mkdir(parents=True)
    folder = shlex.quote(str(batch.store))
    script = 'trap \'\' XFSZ; (ulimit -f 48; "$@"; echo code $?); mkdir kept; cp -r {0}/. kept; "$@"; echo code $?'
    if MOUNTS:
        script = (
            'mount -t tmpfs -o size=48k tmpfs {0}; "$@"; echo code $?; mkdir kept; cp -r {0}/. kept; '
            'mount -o remount,size=9m {0}; "$@"; echo code $?'
        )
    inside = (*(NAMESPACE if MOUNTS else ("sh", "-c")), script.format(folder), "sh")
    assert batch.start(inside=inside).wait(600) == 0
    full, room = batch.said().split("code 1", 1)
    assert re.search(r"ERROR in translate/nllb.*(can't be stored|shards failed)", full), full
    assert "code 0" in room, room
    kept = {record["request_id"]: record for record in RowStore(batch.folder / "kept").records()}
    reused = re.search(r"([\d,]+) completions are already in the row store", room)
    assert kept and int(reused[1].replace(",", "")) == len(kept), "what was stored before the disk was full is reused"
    assert batch.bytes == (miniature.folder / batch.target).read_bytes()


@pytest.mark.skipif(not MOUNTS and os.geteuid() == 0, reason="nothing is read-only to root without a mount")
def test_a_folder_that_is_read_only(batches):
    batch = batches["translate/nllb"]
    batch.empty()
    folder = shlex.quote(str(batch.folder / "results"))
    script = 'mount --bind {0} {0}; mount -o remount,bind,ro {0}; "$@"'
    if not MOUNTS:
        script = 'chmod -R a-w {0}; "$@"; code=$?; chmod -R u+w {0}; exit $code'
    inside = (*(NAMESPACE if MOUNTS else ("sh", "-c")), script.format(folder), "sh")
    assert batch.start(inside=inside).wait(300) != 0
    assert re.search("Read-only file system|Permission denied|not permitted|Write-protected", batch.said()), (
        batch.said()
    )
    assert "exit code" not in batch.run()
