"""Measure whether long outputs hold up short ones in a batch of beam searches.

    python bench/beam_lengths.py
    python bench/beam_lengths.py --model FOLDER     another model, such as resources/demo/models/strong

One batch of 32 requests to SmolLM2-135M-Instruct, whose outputs have 5 to 400 tokens in geometric progression, in
random order. All requests have the same max_tokens, 400, so the engine does not know the lengths; each search ends at
its length as if it had found end tokens. The short ones are then completed alone.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

from beam_sides import TOGETHER, WIDTH
from bench_beam import PROMPT, sentences
from common import ROOT, machine, note, options, table, today, versions

from polypref.config.registry import Checkpoint, Runtime
from polypref.requests.engines import Request
from polypref.requests.engines.beam import BeamSearch
from polypref.requests.engines.transformers import open_engine

sys.path.insert(0, str(ROOT / "tools"))
from real_model import real_model

SHORTEST, LONGEST, SHORT = 5, 400, 50


class Ending(BeamSearch):
    """A search that ends with the token number ``length``."""

    length = 0

    def advance(self, extensions: list[tuple[float, int, int]]) -> bool:
        if self.steps + 1 == self.length:
            self.max_tokens = self.length
        return super().advance(extensions)


def end_at_lengths(engine: Any) -> None:
    """Make an engine end the search of a request whose id is a number at that number of tokens."""
    start = engine._start

    def ending(request: Request) -> Any:
        search = start(request)
        search.state = Ending(WIDTH, search.state.max_tokens, frozenset())
        search.state.length = int(request.request_id.split("-")[1])
        return search

    engine._start = ending


def lengths_of(count: int, longest: int) -> list[int]:
    """Return lengths in geometric progression, in random order."""
    found = [round(SHORTEST * (longest / SHORTEST) ** (n / (count - 1))) for n in range(count)]
    random.Random(1).shuffle(found)
    return found


def answered(engine: Any, lengths: list[int], texts: list[str], longest: int) -> dict[int, float]:
    """Complete requests with outputs of these lengths; return the processor seconds until each was available."""
    decoding = {"beam_size": WIDTH, "max_tokens": longest}
    requests = [
        Request(f"{n}-{length}", [{"role": "user", "content": PROMPT + texts[n]}], decoding)
        for n, length in enumerate(lengths)
    ]
    began, found = time.process_time(), {}
    for done in engine.complete(requests):
        number, length = map(int, done.request_id.split("-"))
        if done.completion_tokens != length:
            raise SystemExit(f"{done.completion_tokens} tokens instead of {length}")
        found[number] = time.process_time() - began
        note(f"{length} tokens after {found[number]:.1f} s")
    return found


def main() -> None:
    arguments = options(__doc__, repeats=1, requests=32, longest=LONGEST, threads=1, model="")
    if arguments.smoke:
        arguments.requests, arguments.longest = 4, 60
    model, longest = arguments.model or str(real_model()), arguments.longest
    runtime = Runtime(threads=arguments.threads, kv_cache_gb=2, max_model_len=1024)
    engine = open_engine(Checkpoint(engine="vllm", path=model, dtype="float32", runtime=runtime), model, None)
    end_at_lengths(engine)
    lengths, texts = lengths_of(arguments.requests, longest), sentences(arguments.requests, "")
    short = [n for n, length in enumerate(lengths) if length <= SHORT]
    answered(engine, [SHORTEST], texts, longest)  # the first call takes longer
    together = answered(engine, lengths, texts, longest)
    alone = answered(engine, [lengths[n] for n in short], [texts[n] for n in short], longest)
    kept = [
        ["all", len(lengths), sum(lengths), max(together.values())],
        [f"those of at most {SHORT} tokens, in that batch", len(short), sum(lengths[n] for n in short)],
        ["the same, in a batch of their own", len(short), sum(lengths[n] for n in short), max(alone.values())],
    ]
    kept[1].append(max(together[n] for n in short))
    print(f"{Path(model).name}, float32, {WIDTH} beams, outputs of {SHORTEST} to {longest} tokens in one batch. In")
    print(f"batches of {TOGETHER} that wait for their longest output, the {sum(lengths):,} tokens would be computed as")
    print(f"{padded(lengths):,}.\n")
    head = ["requests", "number", "tokens", "processor s until the last one is available", "tokens per s"]
    print(table(head, [[name, n, f"{size:,}", f"{s:.1f}", f"{size / s:.1f}"] for name, n, size, s in kept]))
    print(f"\n*{today()}, {machine()}; {versions()}.*")


def padded(lengths: list[int]) -> int:
    """Return the number of tokens if each batch computes all its outputs up to the longest one."""
    batches = [lengths[first : first + TOGETHER] for first in range(0, len(lengths), TOGETHER)]
    return sum(max(batch) * len(batch) for batch in batches)


if __name__ == "__main__":
    main()
