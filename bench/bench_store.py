"""Measure the row store by number of rows: append rate, sealing, and lookups.

    python bench/bench_store.py

Each measurement runs in a separate process, so that its peak memory is measured too.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from common import options, run_process, table, timed

from polypref.requests.row_store import RowStore

SIZES = (10_000, 100_000, 1_000_000)
ROWS_PER_FLUSH = 1_000
"""Rows between two flushes; a real batch flushes every few seconds."""
LOOKUPS = 1_000


def key(number: int) -> str:
    """Return a request id: 32 hexadecimal digits, in no particular order."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def record(number: int) -> dict:
    """Return a completion of 300 characters, the length of a translated paragraph."""
    text = "".join(random.Random(number).choices("abcdefghij klmnop", k=300))
    row = {"request_id": key(number), "text": text, "finish_reason": "stop", "prompt_tokens": 80}
    return {**row, "completion_tokens": 70, "logprobs": None, "cost_usd": 0.0, "error": None}


def append(folder: str, rows: int) -> dict:
    """Measure the seconds to append and flush rows, and to seal the journal into Parquet."""
    store = RowStore(folder)
    seconds = 0.0
    with store:
        for number in range(rows):
            completion = record(number)
            began = time.perf_counter()
            store.add(completion)
            if number % ROWS_PER_FLUSH == ROWS_PER_FLUSH - 1:
                store.flush()
            seconds += time.perf_counter() - began
        began = time.perf_counter()
    return {"append": seconds, "seal": time.perf_counter() - began}


def lookup(folder: str, rows: int, selection: str) -> dict:
    """Measure opening the store and looking up some, none or all of its rows."""
    numbers = {
        "few": range(0, rows, max(rows // LOOKUPS, 1)),
        "missing": range(rows, rows + LOOKUPS),
        "all": range(rows),
    }[selection]
    wanted = [key(number) for number in numbers]
    found: dict = {}
    cost = timed(lambda: found.update(RowStore(folder).get(wanted)))
    return {"wall": cost.wall, "processor": cost.processor, "found": len(found)}


def run_measurement(*arguments: str | int) -> tuple[dict, float]:
    """Run one measurement in a separate process; return its result and its peak memory in MB."""
    cost = run_process([sys.executable, __file__, "--one", *map(str, arguments)])
    return json.loads(cost.output.splitlines()[-1]), cost.memory


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        action, folder, rows, *what = sys.argv[2:]
        print(json.dumps((append if action == "append" else lookup)(folder, int(rows), *what)))
        return
    sizes = (1_000,) if options(__doc__).smoke else SIZES
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            appended, memory = run_measurement("append", folder, size)
            disk = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
            cells = [
                f"{size:,}",
                f"{size / appended['append']:,.0f}",
                f"{appended['seal']:.1f}",
                f"{memory:.0f}",
                f"{disk:.0f}",
            ]
            for what, expected in (("missing", 0), ("few", min(size, LOOKUPS)), ("all", size)):
                found, memory = run_measurement("lookup", folder, size, what)
                if found["found"] < expected or (what == "missing" and found["found"]):
                    raise RuntimeError(f"lookup of {what} of {size} rows found {found['found']}")
                cells += [f"{found['wall']:.2f}", f"{found['processor']:.2f}", f"{memory:.0f}"]
            rows.append(cells)
    print(
        "Completions of 300 characters, flushed (fsync) every thousand rows. The journal is then sealed into Parquet,"
    )
    print(
        "which a job does when it ends, or the next job if it was killed. A lookup opens the store, finds the requests"
    )
    print(f"of a batch that it has, and verifies and returns their completions: {LOOKUPS:,} ids that are not in it,")
    print("as many ids that are spread over the whole store, and all its ids. The budget of the first two at a million")
    print(
        "rows is 1 s and 200 MB. Memory is the peak of a separate process; interpreter and imports take about 80 MB.\n"
    )
    header = ["rows", "appended/s", "seal s", "MB", "disk MB"]
    for what in (f"{LOOKUPS:,} missing", f"{LOOKUPS:,} present", "all"):
        header += [f"{what}: wall s", "processor s", "MB"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
