"""Throughput of the vLLM engine as `complete` drives it, against one bare LLM.chat call over the same prompts.

Both run in one process on one started engine, in turns (bare, ours, bare, ours, ...), with the prefix cache emptied
before each. Budget: at least 0.95 of the bare call's tokens per second. On a machine with other work the rates per
second of processor time are the ones to compare (with one thread: OpenMP threads spin while they wait).

    python bench/bench_complete_vs_bare.py resources/demo/models/strong --prompts 400 --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from polypref.config import Checkpoint
from polypref.engines import Request
from polypref.engines.vllm import open_engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="folder of a chat model")
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    checkpoint = Checkpoint(
        engine="vllm",
        path=options.checkpoint,
        dtype=options.dtype,
        runtime={"gpus": options.gpus, "threads": options.threads},
    )
    engine = open_engine(checkpoint, options.checkpoint, None, 0)
    from vllm import SamplingParams

    chats = [[{"role": "user", "content": f"Say something about {i} foxes. " * 4}] for i in range(options.prompts)]
    requests = [
        Request(f"r{i}", chat, {"max_tokens": options.max_tokens, "temperature": 0.0}) for i, chat in enumerate(chats)
    ]
    params = SamplingParams(max_tokens=options.max_tokens, temperature=0.0)

    def bare() -> int:
        outputs = engine.llm.chat(chats, params, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    def ours() -> int:
        return sum(completion.completion_tokens for completion in engine.answer(requests))

    ratios: dict[str, list[float]] = {"wall": [], "processor": []}
    for turn in range(options.rounds + 1):
        rates = {}
        for name, run in (("bare", bare), ("ours", ours)):
            engine.llm.reset_prefix_cache()
            wall, processor = time.perf_counter(), time.process_time()
            tokens = run()
            rates[name] = {
                "wall": tokens / (time.perf_counter() - wall),
                "processor": tokens / (time.process_time() - processor),
            }
            print(
                f"round {turn} {name}: {tokens} tokens, " + ", ".join(f"{v:,.0f}/s {k}" for k, v in rates[name].items())
            )
        for clock in ratios if turn else ():  # the first turn warms up
            ratios[clock].append(rates["ours"][clock] / rates["bare"][clock])
    for clock, values in ratios.items():
        print(f"ours / bare, {clock}: median {statistics.median(values):.3f}, {min(values):.3f} to {max(values):.3f}")
    engine.close()


if __name__ == "__main__":
    main()
