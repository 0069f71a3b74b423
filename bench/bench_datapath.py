"""The data path: rows per second and peak memory of what lies between the engines, with the workflow's own scripts.

    python bench/bench_datapath.py

Normalise, sample, ask, collect and join 100,000 pairs in nine languages, and a tenth of them: memory that is bounded by
a batch is the same for both. Answers are made up; no engine runs.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from common import DEMO, SCRIPTS, Cost, note, options, run_process, table, workplace

from polypref.files.schemas import COMPLETIONS, FIELDS, REQUESTS
from polypref.files.tables import iter_rows, write_table

LANGUAGES = ("ar", "de", "es", "is", "ja", "nl", "ru", "zh")
SIZES = (10_000, 100_000)
CHARACTERS = 300
ASKED = {
    "model": "translator",
    "path": "owner/translator",
    "revision": "1",
    "local": False,
    "decoding": {"max_tokens": 9},
}


_DRAW = random.Random(1)
_WORDS = ("river", "stone", "walks", "under", "old", "bright", "slowly")
_TEXTS = [" ".join(_DRAW.choices(_WORDS, k=CHARACTERS // 6)) for _ in range(1_009)]


def text(number: int) -> str:
    """A made-up text of about `CHARACTERS` characters."""
    return _TEXTS[number % len(_TEXTS)]


def answer(request: str) -> str:
    """The made-up answer to a request."""
    return f"{text(int(request[8:16], 16))} {request[8:]}"


def script(folder: Path, name: str, **job: dict) -> Cost:
    """Run a script of the workflow as its rule would."""
    path = folder / "job.json"
    path.write_text(json.dumps({**job, "log": str(folder / "log.txt")}), encoding="utf-8")
    runner = Path(__file__).parent / "as_snakemake.py"
    cost = run_process([sys.executable, str(runner), str(SCRIPTS / f"{name}.py"), str(path)], folder)
    note(f"{name}: {cost.wall:.1f} s, {cost.memory:.0f} MB")
    return cost


def answers(requests: list[Path]) -> Iterator[dict]:
    """Made-up answers to files of requests, as a batch has them."""
    base = {"finish_reason": "stop", "prompt_tokens": 80, "completion_tokens": 70, "cost_usd": 0.0}
    for path in requests:
        for row in iter_rows(path, REQUESTS, ["request_id"]):
            yield {**base, "request_id": row["request_id"], "text": answer(row["request_id"])}


def measure(folder: Path, size: int) -> list[tuple[str, int, Cost]]:
    """(step, rows, cost) of every step with this many pairs."""
    source = folder / "pairs.jsonl"
    with open(source, "w", encoding="utf-8") as file:
        for number in range(size):
            row = {field: f"{text(number)} {field} {number}" for field in FIELDS}
            file.write(json.dumps(row) + "\n")
    settings = {"format": "preference", "path": str(source), "bad_rows": "error"}
    params = {"source": {**settings, "subset": None, "split": "train", "revision": None}}
    made = {"pairs": str(folder / "source.parquet"), "dropped": str(folder / "source.dropped.parquet")}
    steps = []

    def add(step: str, rows: int, name: str, **job: dict) -> None:
        steps.append((step, rows, script(folder, name, **job)))

    add("normalise", size, "normalise_source", wildcards={"source": "s"}, input={"file": str(source)}, output=made,
        params=params)  # fmt: skip
    pairs = folder / "pairs.parquet"
    trainee = {"path": str(DEMO / "models/base"), "revision": None, "local": True}
    add("sample", size, "sample_pairs", input={"sources": [made["pairs"]], "trainee": []},
        output={"pairs": str(pairs), "dropped": str(folder / "dropped.parquet")},
        params={"sampling": {"items": size, "seed": 1, "max_tokens": 4096}, "trainee": trainee})  # fmt: skip

    def files(kind: str, language: str) -> list[Path]:
        return [folder / kind / field / f"{language}.parquet" for field in FIELDS]

    for field, path in zip(FIELDS, files("requests", "de"), strict=True):
        add(f"ask ({field})", size, "ask_translations", input={"texts": str(pairs)}, output={"requests": str(path)},
            wildcards={"corpus": "pairs", "field": field, "model": "translator", "language": "de"},
            params={"asked": ASKED, "prompt": "instruct", "unit": "none", "language_name": "German"})  # fmt: skip
    # the requests of the other languages differ in language and id alone
    for language in LANGUAGES:
        for german, path in zip(files("requests", "de"), files("requests", language), strict=True):
            if language != "de":
                rows = ({**row, "language": language, "request_id": f"{language}{row['request_id'][2:]}"}
                        for row in iter_rows(german, REQUESTS))  # fmt: skip
                write_table(path, rows, REQUESTS)
    completions = folder / "completions.parquet"
    write_table(completions, answers([file for code in LANGUAGES for file in files("requests", code)]), COMPLETIONS)
    note("answers are made up")
    for field, requests, path in zip(FIELDS, files("requests", "de"), files("texts", "de"), strict=True):
        given = {"requests": str(requests), "completions": str(completions)}
        add(f"collect ({field})", size, "collect_texts", input=given, output={"texts": str(path)})
    for language in LANGUAGES:
        for german, path in zip(files("texts", "de"), files("texts", language), strict=True):
            if language != "de":
                found = pq.read_table(german)
                path.parent.mkdir(parents=True, exist_ok=True)
                other = pa.array([language] * found.num_rows)
                pq.write_table(found.set_column(1, "language", other), path, row_group_size=10_000)
    fields = {code: {f: str(p) for f, p in zip(FIELDS, files("texts", code), strict=True)} for code in LANGUAGES}
    fields["en"] = dict.fromkeys(FIELDS)
    out = {"dataset": str(folder / "dataset.parquet"), "dropped": str(folder / "dataset.dropped.parquet")}
    add("join", 9 * size, "build_dataset", wildcards={"architecture": "A"},
        input={"pairs": str(pairs), "diagnostics": []}, output=out,
        params={"fields": fields, "drop": ["chosen_equals_rejected"]})  # fmt: skip
    if (kept := pq.read_metadata(out["dataset"]).num_rows) != 9 * size:
        raise RuntimeError(f"{kept} rows in the data set, expected {9 * size}")
    return steps


def main() -> None:
    sizes = (200,) if options(__doc__).smoke else SIZES
    found = []
    for size in sizes:
        with workplace("datapath") as folder:
            found.append(measure(folder, size))
    rows = []
    for small, large in zip(found[0], found[-1], strict=True):
        step, count, cost = large
        rate = f"{count / cost.wall:,.0f}"
        growth = f"{cost.memory - small[2].memory:+.0f}"
        rows.append(
            [step, f"{count:,}", f"{cost.wall:.1f}", f"{cost.processor:.1f}", rate, f"{cost.memory:.0f}", growth]
        )
    whole = len(LANGUAGES) * len(FIELDS) * sizes[-1]
    print(f"{sizes[-1]:,} pairs of three texts of {CHARACTERS} characters in nine languages; each step is a process")
    print(f"of its own, as Snakemake starts it. Collecting finds one file's answers among {whole:,} of the batch. The")
    print(f"last column is the peak memory less that with {sizes[0]:,} pairs.\n")
    print(table(["step", "rows", "wall s", "processor s", "rows/s", "peak MB", "growth MB"], rows))


if __name__ == "__main__":
    main()
