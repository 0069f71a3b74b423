"""A generation task against distilabel and Bespoke Curator: time, memory, and time to go on after a kill in the middle.

    python bench/bench_others.py

Their releases cannot share an environment with the pinned vLLM, so each has a virtual environment of its own under
~/.cache/polypref-bench (made here from PyPI), and all three sides ask one vLLM OpenAI server: prompts from one file,
greedy answers to Parquet, as many requests at once.
"""

from __future__ import annotations

import contextlib
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
from common import DEMO, SCRIPTS, Cost, interleaved, note, options, ratios, run_process, spread, table, workplace
from requests_made import sentences

PROMPTS, TOKENS, AT_ONCE = 3_000, 32, 50
GIVEN_UP = 3  # a run after a kill that takes so many times the whole one is taken for one that hangs
RELEASES = {"distilabel": "distilabel[openai]==1.5.3", "curator": "bespokelabs-curator==0.1.31"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "polypref-bench"
QUIET = {"TELEMETRY_ENABLED": "0", "CURATOR_VIEWER": "0", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "none"}


def environment_of(name: str) -> str:
    """The Python of a release's own environment, made where it is not there."""
    folder = CACHE / RELEASES[name].replace("[", "-").replace("]", "").replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        note(f"installing {RELEASES[name]} into {folder.name}")
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        # requests: distilabel 1.5.3 imports it and left it to huggingface_hub, which no longer needs it
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), RELEASES[name], "requests"], check=True)
        (folder / "complete").touch()
    return str(python)


@contextlib.contextmanager
def server(log: Path) -> Iterator[str]:
    """vLLM's OpenAI server with the miniature's strong model; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(DEMO / "models/strong"),
        "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
        "--enforce-eager", "--max-num-seqs", str(AT_ONCE), "--no-enable-prefix-caching",
    ]  # fmt: skip
    # one thread: two that wait for each other lose their turns to the client, on a machine of two cores
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
    """Start a program and kill it with its children after some seconds."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **env}, start_new_session=True, **quiet)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    arguments = options(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server goes too
    count, repeats = (100, 1) if arguments.smoke else (PROMPTS, arguments.repeats)
    pythons = {"polypref": sys.executable, **{name: environment_of(name) for name in RELEASES}}
    turns = iter(range(1_000_000))
    with workplace("others") as folder, server(folder / "server.log") as address:
        prompts = folder / "prompts.jsonl"
        lines = (json.dumps({"instruction": text}) for text in sentences(count))
        prompts.write_text("\n".join(lines) + "\n", encoding="utf-8")

        def command(name: str, place: Path) -> list[str]:
            script = str(Path(__file__).parent / "others" / f"{name}_side.py")
            place.mkdir(exist_ok=True)
            where = [str(prompts), str(place / "out.parquet"), str(place), address]
            return [pythons[name], script, *where, str(TOKENS), str(AT_ONCE)]

        def env(name: str, place: Path) -> dict[str, str]:
            ours = {"PYTHONPATH": str(SCRIPTS)} if name == "polypref" else {"PYTHONPATH": ""}
            return {**QUIET, **ours, "CURATOR_CACHE_DIR": str(place), "HF_HOME": str(place / "hf")}

        def run(name: str, place: Path | None = None, limit: float | None = None) -> Cost:
            place = place or folder / f"{name}{next(turns)}"
            cost = run_process(command(name, place), folder, env(name, place), limit)
            if (rows := pq.read_metadata(place / "out.parquet").num_rows) != count:
                raise RuntimeError(f"{name} wrote {rows} rows of {count}")
            return cost

        sides = {name: lambda name=name: run(name) for name in pythons}
        costs = interleaved(repeats, warm_up=not arguments.smoke, **sides)
        again = {}
        for name in pythons:
            best = min(cost.wall for cost in costs[name])
            place = folder / f"{name}-killed"
            kill_after(command(name, place), 0.6 * best, env(name, place))
            try:
                wall = run(name, place, limit=GIVEN_UP * best).wall
                again[name] = f"{wall:.1f}", f"{wall / best:.2f}"
            except TimeoutError:
                again[name] = f"> {GIVEN_UP * best:.0f}", f"> {GIVEN_UP}"
            note(f"{name} after a kill: {again[name][0]} s")
    rows = []
    for name, found in costs.items():
        best = min(found, key=lambda cost: cost.wall)
        memory = f"{max(cost.memory for cost in found):.0f}"
        ratio = spread(ratios(costs, name, "polypref")) if name != "polypref" else ["1", "", ""]
        rows.append([name, f"{best.wall:.1f}", f"{best.processor:.1f}", memory, *ratio, *again[name]])
    releases = ", ".join(RELEASES.values())
    print(f"""\
{count:,} prompts, at most {TOKENS} tokens, {AT_ONCE} requests at once ({releases}). The best turn's time
from start to Parquet file; processor seconds and peak memory (of the largest process) are the client's. Then
the same command again after a kill -9 at 60% of that time: its time, and its share of the whole.
""")
    if hung := [name for name, (after, _) in again.items() if after.startswith(">")]:
        print(f"Ended here after {GIVEN_UP} times the whole, without a file: {', '.join(hung)}.")
        if "distilabel" in hung:
            print("Known: argilla-io/distilabel#1065 (its own stop, Ctrl-C, which keeps the queues, was not tried).")
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
