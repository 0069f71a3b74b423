"""On a GPU: compare `complete` with LLM.chat, measure judging in a batch, and relate both to the limits of the card.

    python bench/bench_gpu.py --size 8B
    python bench/bench_gpu.py --size 32B --requests 512

The model has the shape of a Llama and random weights (vLLM's load_format "dummy"), so nothing is downloaded; all other
settings are those of the workflow's engine. `--smoke` runs the same on the CPU with a tiny model, as a test of the
script. The limits of the card are measured first, by a copy and by a matrix product.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import (
    Cost,
    interleaved,
    machine,
    options,
    ratios,
    spread,
    stdout_to_stderr,
    table,
    temporary_folder,
    timed,
    today,
    versions,
)
from random_model import Shape, words, write_model
from synthetic_requests import LABELS, answer_batch, reply_rows, requests_of, verdict_rows, write_verdicts

from polypref.config.registry import Runtime
from polypref.config.sections import Checkpoint
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.asking import RequestSettings

SHAPES = {
    "tiny": Shape(width=128, inner=128, layers=2, heads=4, kv_heads=2, vocabulary=1_000),
    "8B": Shape(width=4096, inner=14336, layers=32, heads=32, kv_heads=8, vocabulary=128_256),
    "32B": Shape(width=5120, inner=27648, layers=64, heads=40, kv_heads=8, vocabulary=152_064),
}
PROMPT_WORDS, ANSWER_TOKENS, RUNS = 100, 128, 5


@dataclass(frozen=True)
class Card:
    """Limits of a device: bytes moved and operations per second, both in bfloat16."""

    name: str
    bandwidth: float
    compute: float


def measure_card(cpu: bool) -> Card:
    """Measure the bytes per second of a copy and the operations per second of a large matrix product."""
    import torch

    device, side, repeats = ("cpu", 512, 3) if cpu else ("cuda", 8192, 20)
    a, b = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    source = torch.randn(side * side * (1 if cpu else 16), device=device)
    target = torch.empty_like(source)

    def median_seconds(action: Callable[[], Any]) -> float:
        def once() -> float:
            cost = timed(lambda: (action(), None if cpu else torch.cuda.synchronize()))
            return cost.wall

        once()
        return statistics.median(once() for _ in range(repeats))

    copied = 2 * source.numel() * source.element_size()
    name = "CPU" if cpu else torch.cuda.get_device_name()
    return Card(
        name, copied / median_seconds(lambda: target.copy_(source)), 2 * side**3 / median_seconds(lambda: a @ b)
    )


def call_in_process(function: Callable, *arguments: Any) -> Any:
    """Call a function in a separate process, so that it holds no memory of the device afterwards."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


@contextmanager
def engine_with_random_weights(checkpoint: Checkpoint) -> Iterator[Any]:
    """Start the workflow's engine for a checkpoint without weights."""
    from polypref.requests.engines import vllm

    start = vllm.start_in_less_memory
    vllm.start_in_less_memory = lambda llm, settings: start(llm, settings | {"load_format": "dummy"})
    engine = vllm.open_engine(checkpoint, checkpoint.path, None)
    try:
        yield engine
    finally:
        engine.close()
        vllm.start_in_less_memory = start


def limits(shape: Shape, card: Card, requests: int, prompt: int, answer: int, at_once: int) -> tuple[float, float]:
    """Estimate the minimum seconds for some requests, limited by the card's memory bandwidth and by its arithmetic.

    A step reads every weight once (except the input embeddings) and the keys and values of each running request; a
    token takes two operations per weight. The operations of attention are not counted.
    """
    steps = math.ceil(requests / at_once) * answer
    weights = shape.parameters - shape.vocabulary * shape.width
    cache = requests * (answer * prompt + answer**2 / 2) * shape.cache_bytes
    return (
        (steps * 2 * weights + cache) / card.bandwidth,
        2 * weights * requests * (prompt + answer) / card.compute,
    )


class Bench:
    """Measurements with one started engine."""

    def __init__(self, engine: Any, checkpoint: Checkpoint, folder: Path, shape: Shape, card: Card, repeats: int):
        self.engine, self.checkpoint, self.folder = engine, checkpoint, folder
        self.shape, self.card, self.repeats = shape, card, repeats
        self.at_once = engine.llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
        self.stores = itertools.count()

    def request_model(self, **decoding: Any) -> RequestSettings:
        return RequestSettings("bench", self.checkpoint.path, "random weights", True, decoding, self.checkpoint.dtype)

    def without_cache(self, action: Callable[[], Any]) -> Cost:
        self.engine.llm.reset_prefix_cache()
        return timed(action)

    def complete(self, paths: list[Path]) -> Cost:
        store = self.folder / f"store{next(self.stores)}"
        return self.without_cache(lambda: answer_batch(paths, store, self.checkpoint, self.engine))

    def call_directly(self, chats: list[Any], params: Any) -> Cost:
        return self.without_cache(lambda: self.engine.llm.chat(chats, params, use_tqdm=False))

    def of_limits(self, seconds: float, requests: int, at_once: int) -> list[str]:
        """Return tokens per second, and the minimum times for memory and arithmetic as shares of the measured time."""
        minimum = limits(self.shape, self.card, requests, PROMPT_WORDS, ANSWER_TOKENS, at_once)
        return [f"{requests * ANSWER_TOKENS / seconds:,.0f}", *(f"{least / seconds:.0%}" for least in minimum)]

    def batches(self, count: int) -> tuple[list[list[str]], list[list[str]]]:
        """Return the rows of two tables: `complete` compared with the direct call, and the limits of the card."""
        from vllm import SamplingParams

        ratio_rows, limit_rows = [], []
        for name, temperature in (("greedy", 0.0), ("sampled at 0.7", 0.7)):
            paths = [self.folder / f"requests/{temperature}.parquet"]
            how = self.request_model(temperature=temperature, max_tokens=ANSWER_TOKENS)
            write_table(paths[0], reply_rows(words(count, PROMPT_WORDS), how), REQUESTS)
            requests = requests_of(paths)
            chats = [request.messages for request in requests]
            same = [self.engine._start(request).parameters() for request in requests]
            plain = SamplingParams(max_tokens=ANSWER_TOKENS, temperature=temperature)
            actions = {
                "complete": lambda p=paths: self.complete(p),
                "same": lambda c=chats, s=same: self.call_directly(c, s),
            }
            if temperature:
                actions["plain"] = lambda c=chats, p=plain: self.call_directly(c, p)
            costs = interleaved(self.repeats, **actions)
            for against, title in (("same", "the same seeds"), ("plain", "no seeds")):
                if against in costs:
                    ratio = [1 / value for value in ratios(costs, "complete", against)]
                    rate = [f"{count / min(c.wall for c in costs[who]):,.1f}" for who in ("complete", against)]
                    label = f"{name}, {title}" if temperature else name
                    ratio_rows.append([label, f"{count:,}", *rate, *spread(ratio, ".3f")])
            seconds = statistics.median(c.wall for c in costs["complete"])
            limit_rows.append([f"{count:,} requests, {name}", *self.of_limits(seconds, count, self.at_once)])
        few = chats[:8]
        alone = SamplingParams(max_tokens=ANSWER_TOKENS, temperature=0.0)
        seconds = sum(self.call_directly([chat], alone).wall for chat in few)
        limit_rows.append(["one request at a time, greedy", *self.of_limits(seconds, len(few), 1)])
        return ratio_rows, limit_rows

    def judging(self, pairs: int, sample: int) -> list[list[str]]:
        """Return the row that compares a batch of both orders with five runs of one call per verdict."""
        from vllm import SamplingParams

        rows = verdict_rows(words(3 * pairs, PROMPT_WORDS), self.request_model(**LABELS), "judge.txt")
        paths, chats = write_verdicts(self.folder, rows), [row["messages"] for row in rows]
        free, rng = SamplingParams(max_tokens=LABELS["max_tokens"], temperature=0.0), random.Random(1)

        def single_calls() -> None:
            for number in rng.sample(range(len(chats)), sample):
                self.engine.llm.chat([chats[number]], free, use_tqdm=False)

        costs = interleaved(
            self.repeats, batch=lambda: self.complete(paths), calls=lambda: self.without_cache(single_calls)
        )
        batch = [cost.wall for cost in costs["batch"]]
        scaled = [cost.wall * RUNS * pairs / sample for cost in costs["calls"]]
        rate = 2 * pairs / statistics.median(batch)
        gain = [calls / once for once, calls in zip(batch, scaled, strict=True)]
        return [[f"{pairs:,}", f"{min(batch):.1f}", f"{rate:,.0f}", f"{min(scaled):.0f}", *spread(gain, ".1f")]]


def main() -> None:
    arguments = options(__doc__, size="8B", requests=2_000, pairs=600)
    if arguments.smoke:
        arguments.size, arguments.requests, arguments.pairs, arguments.repeats = "tiny", 40, 20, 1
    shape, cpu = SHAPES[arguments.size], arguments.size == "tiny"
    sample = 5 if cpu else 20
    card = call_in_process(measure_card, cpu)
    runtime = Runtime(gpus=0 if cpu else 1, kv_cache_gb=0.5)
    with temporary_folder("gpu") as folder:
        write_model(folder / "model", shape)
        checkpoint = Checkpoint(engine="vllm", path=str(folder / "model"), dtype="bfloat16", runtime=runtime)
        with stdout_to_stderr(), engine_with_random_weights(checkpoint) as engine:
            bench = Bench(engine, checkpoint, folder, shape, card, arguments.repeats)
            ratio_rows, limit_rows = bench.batches(arguments.requests)
            verdicts = bench.judging(arguments.pairs, sample)
    print(f"### {arguments.size}: {shape.parameters / 1e9:.1f}B parameters on {card.name}\n")
    print("Rows per second of the fastest repeat, and the ratio of rates in each repeat. Prompts have at least")
    print(
        f"{PROMPT_WORDS} tokens and answers {ANSWER_TOKENS}; up to {bench.at_once:,} requests run at the same time. The"
    )
    print("start of the engine is not included.\n")
    print(table(["batch", "requests", "complete/s", "LLM.chat/s", "ratio: median", "min", "max"], ratio_rows))
    print(
        "\nGenerated tokens per second, and the minimum times for memory and arithmetic as shares of the measured time."
    )
    print(f"The card's measured limits are {card.bandwidth / 1e9:,.0f} GB/s and {card.compute / 1e12:,.0f} TFLOP/s.\n")
    print(table(["run", "tokens/s", "share of memory", "share of arithmetic"], limit_rows))
    print(f"\nJudging both orders of each pair in one batch, compared with {RUNS} runs of one call per pair at a time,")
    print(f"of up to {LABELS['max_tokens']} tokens each (measured for {sample} calls and scaled).\n")
    header = ["pairs", "batch s", "verdicts/s", "single calls s", "ratio: median", "min", "max"]
    print(table(header, verdicts))
    print(f"\n*{today()}, {card.name}, {machine()}; {versions()}.*")


if __name__ == "__main__":
    main()
