"""Measure the fixed cost of small jobs and small batches: interpreter, preamble, imports; and in forks.

python bench/bench_jobs.py
python bench/bench_jobs.py --scripts ../other/workflow/scripts     measure another checkout, for comparison
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from common import ROOT, SCRIPTS, Cost, interleaved, options, run_process, spread, table, temporary_folder
from synthetic_requests import write_replies

from polypref.files.schemas import COMPLETIONS, PROMPTS, REQUESTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows
from polypref.requests.engines.imports import imported_on_cpu
from polypref.running.fork_server import SUPPORTED, ForkServer, Imports

PROMPTS_PER_JOB = 100
SMALL_JOBS = Imports("short", ("snakemake.iocontainers", "polypref.requests.generate", "polypref.requests.collect"))
IN_A_FORK = """
import json, resource, runpy, sys, time
sys.path.insert(0, {bench!r})
sys.argv = ["as_snakemake.py", {script!r}, {job!r}]
runpy.run_path({runner!r}, run_name="__main__")
used = resource.getrusage(resource.RUSAGE_SELF)
with open({measured!r}, "w") as file:
    json.dump([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
"""


@contextmanager
def fork_server(imports: Imports) -> Iterator[ForkServer | None]:
    """Start a fork server of a run, with the imports that some scripts need."""
    if not SUPPORTED:
        yield None
        return
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    server = ForkServer(imports.modules, imports.environment({**os.environ, **threads}))
    server.wait()
    try:
        yield server
    finally:
        server.close()


def main() -> None:
    arguments = options(__doc__, scripts=str(SCRIPTS))
    scripts = Path(arguments.scripts).resolve()
    repeats = 1 if arguments.smoke else 3 * arguments.repeats
    runner = str(Path(__file__).with_name("as_snakemake.py"))
    with (
        temporary_folder("jobs") as folder,
        fork_server(SMALL_JOBS) as server,
        fork_server(imported_on_cpu("vllm")) as engines,
    ):
        (requests,) = write_replies(folder, PROMPTS_PER_JOB)
        rows = read_rows(requests, REQUESTS)
        completion = {
            "text": "some text",
            "finish_reason": "stop",
            "prompt_tokens": 9,
            "completion_tokens": 9,
            "cost_usd": 0.0,
        }
        write_table(
            folder / "completions.parquet", [{**completion, "request_id": r["request_id"]} for r in rows], COMPLETIONS
        )
        prompts = [{"item_id": r["item_id"], "prompt": r["messages"][0]["content"], "language": "en"} for r in rows]
        write_table(folder / "prompts.parquet", prompts, PROMPTS)
        settings = {"model": "m", "path": "owner/m", "revision": "1", "local": False, "decoding": {"max_tokens": 9}}
        demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text("utf-8"))
        jobs = {
            "ask_responses": {
                "input": {"prompts": str(folder / "prompts.parquet")}, "wildcards": {"language": "en"},
                "output": {"requests": str(folder / "asked.parquet")}, "params": {"request_settings": settings},
            },
            "collect_texts": {
                "input": {"requests": str(requests), "completions": str(folder / "completions.parquet")},
                "output": {"texts": str(folder / "texts.parquet")},
            },
            "complete": {
                "input": {"requests": [str(requests)]}, "wildcards": {"task": "generate", "checkpoint": "strong"},
                "output": {"completions": str(folder / "completed.parquet"), "cost": str(folder / "cost.json")},
                "config": {**demo, "results": str(folder / "r")},
            },
        }  # fmt: skip

        def script(name: str) -> Cost:
            shutil.rmtree(folder / "r", ignore_errors=True)
            job = folder / f"{name}.json"
            job.write_text(json.dumps({**jobs[name], "log": str(folder / "log.txt")}), encoding="utf-8")
            return run_process([sys.executable, runner, str(scripts / f"{name}.py"), str(job)], folder)

        def fork(name: str) -> Cost:
            shutil.rmtree(folder / "r", ignore_errors=True)
            job, measured, run = (folder / f"{name}.{ending}" for ending in ("json", "cost", "py"))
            job.write_text(json.dumps({**jobs[name], "log": str(folder / "log.txt")}), encoding="utf-8")
            values = {"bench": str(Path(runner).parent), "script": str(scripts / f"{name}.py"), "job": str(job)}
            run.write_text(IN_A_FORK.format(**values, runner=runner, measured=str(measured)), encoding="utf-8")
            start = time.monotonic()
            if code := (engines if name == "complete" else server).run(str(run), dict(os.environ)):
                raise RuntimeError(f"{name} ended with {code} in a fork")
            return Cost(time.monotonic() - start, *json.loads(measured.read_text(encoding="utf-8")))

        small = [name for name in jobs if name != "complete"]
        forked = {f"{name}_forked": lambda name=name: fork(name) for name in small} if server else {}
        preamble = "from snakemake.logging import logger; from snakemake.iocontainers import Snakemake"
        costs = interleaved(
            repeats,
            interpreter=lambda: run_process([sys.executable, "-c", "pass"]),
            preamble=lambda: run_process([sys.executable, "-c", preamble]),
            ask_responses=lambda: script("ask_responses"),
            collect_texts=lambda: script("collect_texts"),
            **forked,
        )
        batch = {"complete_forked": lambda: fork("complete")} if engines else {}
        costs |= interleaved(
            1 if arguments.smoke else arguments.repeats, complete=lambda: script("complete"), warm_up=False, **batch
        )
    names = {
        "interpreter": "interpreter only",
        "preamble": "interpreter with Snakemake's preamble",
        "ask_responses": f"`ask_responses.py`, {PROMPTS_PER_JOB} prompts",
        "collect_texts": f"`collect_texts.py`, {PROMPTS_PER_JOB} texts",
        "ask_responses_forked": f"`ask_responses.py`, {PROMPTS_PER_JOB} prompts, in a fork of the run's server",
        "collect_texts_forked": f"`collect_texts.py`, {PROMPTS_PER_JOB} texts, in a fork of the run's server",
        "complete": f"`complete.py` with vLLM, {PROMPTS_PER_JOB} prompts",
        "complete_forked": f"`complete.py` with vLLM, {PROMPTS_PER_JOB} prompts, in a fork of a server",
    }
    rows = [
        [title, *spread([c.processor for c in costs[name]]), *spread([c.memory for c in costs[name]], ".0f")[:1]]
        for name, title in names.items()
        if name in costs
    ]
    print(
        "Processor seconds and peak memory of a process. The miniature has about 440 small jobs and 12 batches. A\n"
        "fork shares most of its memory with the server.\n"
    )
    print(table(["process", "median s", "min", "max", "MB"], rows))


if __name__ == "__main__":
    main()
