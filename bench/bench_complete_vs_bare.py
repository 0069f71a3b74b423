"""Throughput of the vLLM engine as `complete` drives it, against one bare LLM.chat call over the same prompts.

Both run in one process on one started engine, in turns (bare, ours, bare, ours, ...), with the prefix cache emptied
before each. Budget: at least 0.95 of the bare call's tokens per second.

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
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    checkpoint = Checkpoint(
        engine="vllm", path=options.checkpoint, dtype=options.dtype, runtime={"gpus": options.gpus, "threads": 2}
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

    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for turn in range(options.rounds + 1):
        for name, run in (("bare", bare), ("ours", ours)):
            engine.llm.reset_prefix_cache()
            started = time.perf_counter()
            tokens = run()
            rate = tokens / (time.perf_counter() - started)
            if turn:  # the first turn warms up
                rates[name].append(rate)
                print(f"round {turn} {name}: {tokens} tokens, {rate:,.0f} tokens/s")
    ratios = [mine / theirs for mine, theirs in zip(rates["ours"], rates["bare"], strict=True)]
    print(f"ours / bare: median {statistics.median(ratios):.3f}, range {min(ratios):.3f} to {max(ratios):.3f}")
    engine.close()


if __name__ == "__main__":
    main()
