"""Measure `complete` with an engine that answers at once, by number of requests: rows per second and peak memory.

    python bench/bench_scale.py                        a hundred thousand and a million requests
    python bench/bench_scale.py --largest 10000000     also ten million (4 GB of disk space for each copy of the texts)
    python bench/bench_scale.py --scripts PATH         measure the scripts of another checkout

Each step is a separate process: the job is killed, and the next one opens the row store; all requests are new; all are
in the row store; one in a hundred is missing.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from common import SCRIPTS, note, options, table, temporary_folder

FILES = 100
CHARACTERS = 300
SIZES = (100_000, 1_000_000)
TEXT = ("The river walks slowly under the old stone bridge. " * 7)[:CHARACTERS]


def write_requests(folder: Path, size: int, seed: int = 1) -> list[str]:
    """Write requests with texts of `CHARACTERS` characters to `FILES` files, or to fewer if there are few requests."""
    from polypref.files.schemas import MESSAGES, REQUESTS
    from polypref.files.table_writer import write_table

    files = max(1, min(FILES, size // 10_000))
    rng, paths, digits = np.random.default_rng(seed), [], np.frombuffer(b"0123456789abcdef", np.uint8)
    for number in range(files):
        rows = size // files
        ids = digits[rng.integers(0, 16, (rows, 32))].view("S32").ravel().astype(str)
        texts = pa.array([f"{TEXT[:-33]} {key}" for key in ids])
        roles = pa.array(["user"] * rows)
        turns = pa.StructArray.from_arrays([roles, texts], fields=list(MESSAGES.value_type))
        messages = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32)), turns)
        fixed = {"language": "de", "model": "m", "part": 0, "sample": 0, "before": "", "after": "",
                 "decoding": '{"max_tokens":9,"temperature":0.0}', "checkpoint": "owner/name",
                 "revision": "1"}  # fmt: skip
        own = {"request_id": pa.array(ids), "item_id": pa.array([key[:16] for key in ids]), "messages": messages}
        columns = [own[f.name] if f.name in own else pa.array([fixed[f.name]] * rows, f.type) for f in REQUESTS]
        paths.append(str(folder / f"requests/{number:03d}.parquet"))
        write_table(paths[-1], pa.table(columns, schema=REQUESTS), REQUESTS)
    return paths


def answer_at_once(requests):
    """Complete requests as an engine does, in no time."""
    from polypref.requests.engines import Completion

    for request in requests:
        yield Completion(request.request_id, f"{request.request_id} {TEXT[:-33]}", "stop", 80, 70)


def run_complete(folder: Path) -> dict:
    """Complete the requests of a folder; return the figures of the run."""
    from polypref.config.sections import Checkpoint
    from polypref.requests.complete import complete

    paths = sorted(map(str, (folder / "requests").glob("*.parquet")))
    checkpoint = Checkpoint(engine="vllm", path="owner/name")
    engine = SimpleNamespace(complete=answer_at_once, close=lambda: None)
    output = folder / "completions.parquet"
    if "output" in inspect.signature(complete).parameters:
        return complete(paths, folder / "store", checkpoint, output, start=lambda *_: engine)
    from polypref.files.schemas import COMPLETIONS
    from polypref.files.table_writer import write_table

    rows, run = complete(paths, folder / "store", checkpoint, start=lambda *_: engine)
    write_table(output, rows, COMPLETIONS)
    return run


def open_store(folder: Path) -> dict:
    """Open the row store for writing, as a run after a kill does."""
    from polypref.requests.row_store import RowStore

    with RowStore(folder / "store"):
        pass
    return {}


def start(scripts: str, action: str, folder: Path) -> subprocess.Popen:
    """Start a measurement in a separate process."""
    command = [sys.executable, __file__, "--one", action, str(folder)]
    return subprocess.Popen(command, env={**os.environ, "POLYPREF_SCRIPTS": scripts}, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> dict:
    """Return the result of a measurement: the run's figures, wall and processor seconds, and peak memory in MB."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}: {output}")
    return json.loads(output.splitlines()[-1])


def completed_so_far(folder: Path) -> int:
    """Return the number of completions that the running job has recorded in the lock file."""
    lock = folder / "store/writer.lock"
    found = re.search(r"\(([\d,]+) completions", lock.read_text()) if lock.exists() else None
    return int(found[1].replace(",", "")) if found else 0


def measure(scripts: str, folder: Path, size: int) -> list[list[str]]:
    """Return the rows of the table for a number of requests."""
    write_requests(folder, size)
    rows = []

    def add(step: str, count: int, result: dict) -> dict:
        rates = [f"{count / result[clock]:,.0f}" for clock in ("wall", "processor")] if count else ["", ""]
        rows.append([f"{size:,}: {step}", f"{result['wall']:.1f}", f"{result['processor']:.1f}", *rates,
                     f"{result['memory']:,.0f}"])  # fmt: skip
        note(" | ".join(rows[-1]))
        return result

    process = start(scripts, "complete", folder)
    while completed_so_far(folder) < 0.6 * size and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    recorded = completed_so_far(folder)
    add("opened after a kill", 0, finish(start(scripts, "open", folder)))
    resumed = finish(start(scripts, "complete", folder))
    if resumed["reused"] + resumed["answered"] != size:
        raise RuntimeError(f"{resumed['reused']} rows reused and {resumed['answered']} completed of {size}")
    note(f"{recorded:,} completions recorded before the kill, {resumed['reused']:,} in the row store")
    shutil.rmtree(folder / "store")
    add("all new", size, finish(start(scripts, "complete", folder)))
    held = add("all held", size, finish(start(scripts, "complete", folder)))
    if held["reused"] != size:
        raise RuntimeError(f"{held['reused']} rows reused of {size}")
    first = sorted((folder / "requests").glob("*.parquet"))[0]
    few = folder / "few"
    write_requests(few, max(size // FILES, 1), seed=2)
    os.replace(sorted((few / "requests").glob("*.parquet"))[0], first)
    add("1% missing", size, finish(start(scripts, "complete", folder)))
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        action, folder = sys.argv[2], Path(sys.argv[3])
        sys.path.insert(0, os.environ["POLYPREF_SCRIPTS"])
        wall, processor = time.perf_counter(), time.process_time()
        run = (run_complete if action == "complete" else open_store)(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cost = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor, "memory": peak}
        print(json.dumps({**run, **cost}))
        return
    arguments = options(__doc__, scripts=str(SCRIPTS), largest=SIZES[-1])
    sizes = (2_000,) if arguments.smoke else sorted({*SIZES, arguments.largest} - {
        size for size in SIZES if size > arguments.largest})  # fmt: skip
    rows = []
    for size in sizes:
        with temporary_folder("scale") as folder:
            rows += measure(str(Path(arguments.scripts).resolve()), folder, size)
    print(f"`complete` with an engine that answers at once, and texts of {CHARACTERS} characters. Rows per second are")
    print("those of all requests of the batch, also if only one in a hundred is sent to the engine. Rows per processor")
    print("second do not depend on what else runs on the machine. Memory is the peak of the process.\n")
    print(table(["requests and step", "wall s", "processor s", "rows/s", "rows/processor s", "peak MB"], rows))


if __name__ == "__main__":
    main()
