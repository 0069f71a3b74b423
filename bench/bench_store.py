"""The row store: append and look-up rates, and what it costs to open, by number of rows.

    python bench/bench_store.py

Each measurement is a process of its own, so that its peak memory is its own.
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
FLUSH = 1_000
"""Rows between two flushes; a batch flushes every few seconds."""
LOOK_UPS = 1_000


def key(number: int) -> str:
    """A request's id: 32 hexadecimal digits, in no order."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def record(number: int) -> dict:
    """An answer of 300 characters, as a paragraph's translation has."""
    text = "".join(random.Random(number).choices("abcdefghij klmnop", k=300))
    row = {"request_id": key(number), "text": text, "finish_reason": "stop", "prompt_tokens": 80}
    return {**row, "completion_tokens": 70, "logprobs": None, "cost_usd": 0.0, "error": None}


def append(folder: str, rows: int) -> dict:
    """Seconds to append and flush, and to seal the journal into Parquet."""
    store = RowStore(folder)
    spent = 0.0
    with store:
        for number in range(rows):
            answer = record(number)
            began = time.perf_counter()
            store.add(answer)
            if number % FLUSH == FLUSH - 1:
                store.flush()
            spent += time.perf_counter() - began
        began = time.perf_counter()
    return {"append": spent, "seal": time.perf_counter() - began}


def look_up(folder: str, rows: int, what: str) -> dict:
    """What it takes to open the store and look up some, none or all of its rows."""
    numbers = {
        "few": range(0, rows, max(rows // LOOK_UPS, 1)),
        "missing": range(rows, rows + LOOK_UPS),
        "all": range(rows),
    }[what]
    wanted = [key(number) for number in numbers]
    found: dict = {}
    cost = timed(lambda: found.update(RowStore(folder).get(wanted)))
    return {"wall": cost.wall, "processor": cost.processor, "found": len(found)}


def in_process(*arguments: str | int) -> tuple[dict, float]:
    """One measurement in a process of its own, and its peak memory in MB."""
    cost = run_process([sys.executable, __file__, "--one", *map(str, arguments)])
    return json.loads(cost.output.splitlines()[-1]), cost.memory


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        action, folder, rows, *what = sys.argv[2:]
        print(json.dumps((append if action == "append" else look_up)(folder, int(rows), *what)))
        return
    sizes = (1_000,) if options(__doc__).smoke else SIZES
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            made, memory = in_process("append", folder, size)
            disk = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
            cells = [
                f"{size:,}",
                f"{size / made['append']:,.0f}",
                f"{made['seal']:.1f}",
                f"{memory:.0f}",
                f"{disk:.0f}",
            ]
            for what, expected in (("missing", 0), ("few", min(size, LOOK_UPS)), ("all", size)):
                found, memory = in_process("look_up", folder, size, what)
                if found["found"] < expected or (what == "missing" and found["found"]):
                    raise RuntimeError(f"looked up {what} of {size} rows and found {found['found']}")
                cells += [f"{found['wall']:.2f}", f"{found['processor']:.2f}", f"{memory:.0f}"]
            rows.append(cells)
    print("Answers of 300 characters, flushed (fsync) every thousand; then the journal is sealed into Parquet, which a")
    print(
        "job does when it ends, and the next one where it was killed. To open the store is to know which of a batch's"
    )
    print(
        f"requests it holds, and to have those answers, each checked: {LOOK_UPS:,} ids of which it holds none, as many"
    )
    print("that lie all over it, and all its ids. Budget: under 1 s and 200 MB for the first two at a million rows.")
    print("Memory is the peak of a process of its own, of which the interpreter and the imports take some 80 MB.\n")
    header = ["rows", "appended/s", "seal s", "MB", "disk MB"]
    for what in (f"{LOOK_UPS:,} missing", f"{LOOK_UPS:,} held", "all"):
        header += [f"{what}: wall s", "processor s", "MB"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
