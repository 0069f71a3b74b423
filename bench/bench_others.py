"""Compare a generation task with distilabel and Bespoke Curator: time, memory, and time to resume after a kill.

    python bench/bench_others.py

Their releases can't be installed beside the pinned vLLM, so each has its own virtual environment below
~/.cache/polypref-bench, which this script creates from PyPI. All three clients use the same vLLM OpenAI server, read
the same file of prompts, decode greedily, send the same number of concurrent requests, and write Parquet.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from common import DEMO, SCRIPTS, Cost, interleaved, note, options, ratios, run_process, spread, table, temporary_folder
from synthetic_requests import sentences

PROMPTS, TOKENS, CONCURRENCY = 3_000, 32, 50
TIME_LIMIT = 3  # a resumed run is stopped as hanging after this multiple of the time of a whole run
RELEASES = {"distilabel": "distilabel[openai]==1.5.3", "curator": "bespokelabs-curator==0.1.31"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "polypref-bench"
QUIET = {"TELEMETRY_ENABLED": "0", "CURATOR_VIEWER": "0", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "none"}


def environment_of(name: str) -> str:
    """Return the Python of a release's environment, which is created if it does not exist."""
    folder = CACHE / RELEASES[name].replace("[", "-").replace("]", "").replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        note(f"installing {RELEASES[name]} into {folder.name}")
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        # distilabel 1.5.3 imports requests without declaring it; huggingface_hub no longer installs it
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), RELEASES[name], "requests"], check=True)
        (folder / "complete").touch()
    return str(python)


@contextlib.contextmanager
def server(log: Path) -> Iterator[str]:
    """Run vLLM's OpenAI server with the miniature's strong model, and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(DEMO / "models/strong"),
        "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
        "--enforce-eager", "--max-num-seqs", str(CONCURRENCY), "--no-enable-prefix-caching",
    ]  # fmt: skip
    # one thread: with two, the client delays both on a machine of two cores, because each waits for the other
    threads = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    env = {
        **os.environ,
        **threads,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "TORCHDYNAMO_DISABLE": "1",
    }
    with open(log, "wb") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"vLLM's server ended:\n{log.read_text(errors='replace')[-3000:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def kill_after(command: list[str], seconds: float, env: dict[str, str]) -> None:
    """Start a program, and kill it and its children after some seconds."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **env}, start_new_session=True, **quiet)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    arguments = options(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    count, repeats = (100, 1) if arguments.smoke else (PROMPTS, arguments.repeats)
    pythons = {"polypref": sys.executable, **{name: environment_of(name) for name in RELEASES}}
    numbers = itertools.count()
    with temporary_folder("others") as folder, server(folder / "server.log") as address:
        prompts = folder / "prompts.jsonl"
        lines = (json.dumps({"instruction": text}) for text in sentences(count))
        prompts.write_text("\n".join(lines) + "\n", encoding="utf-8")

        def command(name: str, place: Path) -> list[str]:
            script = str(Path(__file__).parent / "others" / f"{name}_side.py")
            place.mkdir(exist_ok=True)
            where = [str(prompts), str(place / "out.parquet"), str(place), address]
            return [pythons[name], script, *where, str(TOKENS), str(CONCURRENCY)]

        def env(name: str, place: Path) -> dict[str, str]:
            ours = {"PYTHONPATH": str(SCRIPTS)} if name == "polypref" else {"PYTHONPATH": ""}
            return {**QUIET, **ours, "CURATOR_CACHE_DIR": str(place), "HF_HOME": str(place / "hf")}

        def run(name: str, place: Path | None = None, limit: float | None = None) -> Cost:
            place = place or folder / f"{name}{next(numbers)}"
            cost = run_process(command(name, place), folder, env(name, place), limit)
            if (rows := pq.read_metadata(place / "out.parquet").num_rows) != count:
                raise RuntimeError(f"{name} wrote {rows} rows of {count}")
            return cost

        sides = {name: lambda name=name: run(name) for name in pythons}
        costs = interleaved(repeats, warm_up=not arguments.smoke, **sides)
        resumed = {}
        for name in pythons:
            best = min(cost.wall for cost in costs[name])
            place = folder / f"{name}-killed"
            kill_after(command(name, place), 0.6 * best, env(name, place))
            try:
                wall = run(name, place, limit=TIME_LIMIT * best).wall
                resumed[name] = f"{wall:.1f}", f"{wall / best:.2f}"
            except TimeoutError:
                resumed[name] = f"> {TIME_LIMIT * best:.0f}", f"> {TIME_LIMIT}"
            note(f"{name} after a kill: {resumed[name][0]} s")
    rows = []
    for name, found in costs.items():
        best = min(found, key=lambda cost: cost.wall)
        memory = f"{max(cost.memory for cost in found):.0f}"
        ratio = spread(ratios(costs, name, "polypref")) if name != "polypref" else ["1", "", ""]
        rows.append([name, f"{best.wall:.1f}", f"{best.processor:.1f}", memory, *ratio, *resumed[name]])
    releases = ", ".join(RELEASES.values())
    print(f"""\
{count:,} prompts, at most {TOKENS} tokens, {CONCURRENCY} concurrent requests ({releases}).
Times are those of the fastest repeat, from the start to the Parquet file; processor seconds and peak memory
(of the largest process) are those of the client. The last two columns are the time of the same command after
a kill -9 at 60% of that time, absolute and as a share of the uninterrupted time.
""")
    if hung := [name for name, (after, _) in resumed.items() if after.startswith(">")]:
        print(f"Stopped after {TIME_LIMIT} times the uninterrupted time, without a file: {', '.join(hung)}.")
        if "distilabel" in hung:
            print(
                "This is a known problem (argilla-io/distilabel#1065). Ctrl-C, which saves the queues, was not tried."
            )
        print()
    header = [
        "client",
        "wall s",
        "processor s",
        "MB",
        "wall / polypref: median",
        "min",
        "max",
        "after a kill s",
        "share",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
