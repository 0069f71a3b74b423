"""Kill processes at random times: no stored row is lost or changed, and the final texts stay the same.

Two batches of the finished miniature start again with an empty row store and are interrupted until all kills are done:
vLLM (sampling and beam search), and the translation model, which runs in two shards. The test prints the seed of the
random times; POLYPREF_KILL_SEED sets it.
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
KILLS = int(os.environ.get("POLYPREF_KILLS", "5"))
"""Number of kills per batch, a multiple of 5: one of each kind."""


@dataclass
class Batch:
    """A batch of a finished run that is repeated with an empty row store, in its own folder."""

    folder: Path
    name: str
    config: dict
    max_delay_s: float
    events: list[str] = field(default_factory=list)
    lost: int = 0
    repeated: int = 0

    @property
    def store(self) -> Path:
        return self.folder / "results/store" / self.name

    @property
    def target(self) -> str:
        return f"results/completions/{self.name}.parquet"

    @property
    def bytes(self) -> bytes:
        return (self.folder / self.target).read_bytes()

    def delete_completions(self) -> None:
        """Delete the row store and the file of completions."""
        shutil.rmtree(self.store, ignore_errors=True)
        (self.folder / self.target).unlink(missing_ok=True)

    def command(self, *options: str) -> list[str]:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, allow_unicode=True), encoding="utf-8")
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"),
            *("--directory", str(self.folder), "--configfile", str(path), *options, "--", self.target),
        ]

    def start(self, *options: str, log: str = "output.txt", wrapper: tuple[str, ...] = ()) -> subprocess.Popen:
        """Start Snakemake; ``wrapper`` is a shell command that runs it as "$@", for example in a mount namespace."""
        command = [*wrapper, *self.command(*options)]
        with open(self.folder / log, "w") as file:
            return subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"},
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def run(self, *options: str) -> str:
        """Run to the end, after removing the lock that a killed Snakemake left, as its message requests."""
        if (self.folder / ".snakemake/locks").exists() and any((self.folder / ".snakemake/locks").iterdir()):
            assert self.start("--unlock").wait(300) == 0, self.output()
        code = self.start(*options).wait(900)
        return self.output() if code == 0 else f"{self.output()}\nexit code {code}"

    def rows(self) -> dict[str, dict]:
        """Read all rows of the row store."""
        return {record["request_id"]: record for record in RowStore(self.store, report=self.events.append).records()}

    def completions_of_last_run(self) -> int:
        """Return the number of completions of the last run, flushed or not; 0 if it had shards."""
        lock = self.store / "writer.lock"
        match = re.search(r"\(([\d,]+) completions so far", lock.read_text()) if lock.exists() else None
        return int(match[1].replace(",", "")) if match else 0

    def processes(self, snakemake: subprocess.Popen) -> dict[str, list[psutil.Process]]:
        """Find the children of Snakemake: the job, and its shards."""
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


def interrupt(batch: Batch, kind: str, rng: random.Random) -> bool:
    """Start the batch, interrupt it after a random time, and count the rows that the row store has lost.

    Returns
    -------
    Whether the batch was interrupted. If it finished earlier, its completions are deleted and the result is False.
    """
    before = batch.rows()
    if any((batch.folder / ".snakemake/locks").glob("*")):
        assert batch.start("--unlock").wait(300) == 0, batch.output()
    if (lock := batch.store / "writer.lock").exists():
        lock.write_text("")
    snakemake = batch.start()
    batch.wait_for_job(snakemake)
    if rng.random() < 0.7:  # most kills happen while completions arrive, the others while the engine starts
        batch.wait_for_rows(snakemake, more_than=len(before))
    wait_until = time.monotonic() + rng.uniform(0, batch.max_delay_s)
    while snakemake.poll() is None and time.monotonic() < wait_until:
        time.sleep(0.05)
    if snakemake.poll() is not None:  # it finished earlier
        assert snakemake.returncode == 0, batch.output()
        batch.delete_completions()
        return False
    found = batch.processes(snakemake)
    survivors = [process for processes in found.values() for process in processes]
    if kind == "job" and found["job"]:
        found["job"][0].kill()
    elif kind == "engine" and (found["shard"] or found["job"]):
        rng.choice(found["shard"] or found["job"]).kill()
    elif kind == "ctrl-c":
        os.killpg(snakemake.pid, signal.SIGINT)
    elif kind == "machine":
        os.killpg(snakemake.pid, signal.SIGKILL)
    else:
        snakemake.kill()
    snakemake.wait(120)
    # The remaining processes (a job without Snakemake, shards without their job) continue, and the next run waits for
    # them, or they are killed some seconds later.
    if rng.random() < 0.5 or kind in ("engine", "ctrl-c", "machine"):
        time.sleep(rng.uniform(0, 3))
        for process in survivors:
            if process.is_running():
                process.kill()
        psutil.wait_procs(survivors, 60)
    after = batch.rows()
    batch.lost += sum(after.get(key) != record for key, record in before.items())
    added, completed = len(after) - len(before), batch.completions_of_last_run()
    batch.repeated += max(0, completed - added)
    batch.events.append(f"{kind}: {added} of {completed} completions stored, {len(after)} rows in total")
    return True


def interrupt_and_finish(batch: Batch, kinds: list[str], seed: int) -> Batch:
    rng = random.Random(seed)
    batch.delete_completions()
    for kind in kinds:
        while not interrupt(batch, kind, rng):
            pass
    output = batch.run()
    assert "exit code" not in output, output
    return batch


@pytest.fixture(scope="module")
def batches(miniature, tmp_path_factory) -> dict[str, Batch]:
    """Two copies of the finished miniature: for vLLM's longest batch, and for the translation model in two shards."""
    batches = {}
    for name, max_delay_s in (("translate/strong", 6.0), ("translate/nllb", 1.0)):
        folder = tmp_path_factory.mktemp("killed")
        for part in ("results", ".snakemake", "data"):
            shutil.copytree(miniature.folder / part, folder / part, symlinks=True)
        config = copy.deepcopy(miniature.config)
        registry = yaml.safe_load((ROOT / config["registry"]).read_text(encoding="utf-8"))
        entry = registry["checkpoints"]["nllb"]
        entry["runtime"] = {**entry["runtime"], "shards": 2, "flush_s": 0.2}
        config["checkpoints"] = {"nllb": entry}
        batches[name] = Batch(folder, name, config, max_delay_s)
    return batches


def test_kills_lose_no_rows(batches, miniature, record_property):
    """Kill engines, jobs, Snakemake and all processes at once, POLYPREF_KILLS times per batch."""
    seed = int(os.environ.get("POLYPREF_KILL_SEED", random.randrange(10**6)))
    kinds = ["engine", "machine", "ctrl-c", "snakemake", "job"] * (KILLS // 5)
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda batch: interrupt_and_finish(batch, kinds, seed), batches.values()))
    record_property("figures", f"POLYPREF_KILL_SEED={seed}")
    for batch in done:
        counts = f"{len(batch.events)} kills, {batch.lost} rows lost, {batch.repeated} requests repeated"
        record_property("figures", f"{batch.name}: {counts}\n  {'; '.join(batch.events)}")
    for batch in done:
        uninterrupted = (miniature.folder / batch.target).read_bytes()
        assert batch.lost == 0
        assert batch.bytes == uninterrupted, (
            f"{batch.name}: the texts differ from those of an uninterrupted run (seed {seed})"
        )
        ids = [record["request_id"] for record in RowStore(batch.store).records()]
        assert len(ids) == len(set(ids)), "a row is stored twice"


def test_a_run_waits_for_the_job_of_a_killed_run(batches, miniature):
    """If Snakemake is killed and its job continues, the next run reuses its completions and starts no engine."""
    batch = batches["translate/nllb"]
    batch.delete_completions()
    snakemake = batch.start()
    batch.wait_for_rows(snakemake)
    orphans = [process for processes in batch.processes(snakemake).values() for process in processes]
    for process in orphans:
        process.suspend()
    snakemake.kill()
    snakemake.wait()
    assert batch.start("--unlock").wait(300) == 0, batch.output()
    again = batch.start()
    began = time.monotonic()
    while "waiting for process" not in batch.output() and again.poll() is None and time.monotonic() < began + 120:
        time.sleep(0.2)
    for process in orphans:
        process.resume()
    assert again.wait(300) == 0, batch.output()
    output = batch.output()
    assert "which is still writing this batch" in output, output
    assert "engine started" not in output and batch.bytes == (miniature.folder / batch.target).read_bytes()


def test_two_runs_at_the_same_time(batches, miniature):
    batch = batches["translate/nllb"]
    batch.delete_completions()
    first = batch.start()
    batch.wait_for_job(first)
    second = batch.start(log="second.txt")
    assert second.wait(120) != 0
    assert "cannot be locked" in (batch.folder / "second.txt").read_text()
    assert first.wait(600) == 0, batch.output()
    assert batch.bytes == (miniature.folder / batch.target).read_bytes()


NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
MOUNTS = subprocess.run([*NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode == 0


def test_a_full_disk(batches, miniature):
    """A disk of 48 kB (or a file size limit, if no disk can be mounted) gives one message, and no row is lost."""
    batch = batches["translate/nllb"]
    batch.delete_completions()
    batch.store.mkdir(parents=True)
    folder = shlex.quote(str(batch.store))
    script = 'trap \'\' XFSZ; (ulimit -f 48; "$@"; echo code $?); mkdir copy; cp -r {0}/. copy; "$@"; echo code $?'
    if MOUNTS:
        script = (
            'mount -t tmpfs -o size=48k tmpfs {0}; "$@"; echo code $?; mkdir copy; cp -r {0}/. copy; '
            'mount -o remount,size=9m {0}; "$@"; echo code $?'
        )
    wrapper = (*(NAMESPACE if MOUNTS else ("sh", "-c")), script.format(folder), "sh")
    assert batch.start(wrapper=wrapper).wait(600) == 0
    full_disk, enlarged_disk = batch.output().split("code 1", 1)
    assert re.search(r"ERROR in translate/nllb.*(can't be stored|shards failed)", full_disk), full_disk
    assert "code 0" in enlarged_disk, enlarged_disk
    stored = {record["request_id"]: record for record in RowStore(batch.folder / "copy").records()}
    reused = re.search(r"([\d,]+) completions are already in the row store", enlarged_disk)
    assert stored and int(reused[1].replace(",", "")) == len(stored), "rows from before the full disk are reused"
    assert batch.bytes == (miniature.folder / batch.target).read_bytes()


@pytest.mark.skipif(not MOUNTS and os.geteuid() == 0, reason="without a mount, root can write to every folder")
def test_a_read_only_folder(batches):
    batch = batches["translate/nllb"]
    batch.delete_completions()
    folder = shlex.quote(str(batch.folder / "results"))
    script = 'mount --bind {0} {0}; mount -o remount,bind,ro {0}; "$@"'
    if not MOUNTS:
        script = 'chmod -R a-w {0}; "$@"; code=$?; chmod -R u+w {0}; exit $code'
    wrapper = (*(NAMESPACE if MOUNTS else ("sh", "-c")), script.format(folder), "sh")
    assert batch.start(wrapper=wrapper).wait(300) != 0
    output = batch.output()
    assert re.search("Read-only file system|Permission denied|not permitted|Write-protected", output), output
    assert "exit code" not in batch.run()
