"""On a GPU: measure beam search against the card's memory bandwidth, and against greedy decoding by vLLM.

    python bench/gpu_beam.py --size 8B        in under eight minutes; or --size 13B
    python bench/gpu_beam.py --dry-device     the same on the CPU with a tiny model, as a test of the script

The model has the shape of a Llama and random weights, which are created on the device. Each side gets prompts of
about 100 tokens and generates 128 tokens for each; random weights hardly ever generate the end token. Each side first
runs a small round, and then as many full rounds as fit into `--seconds`. Without vLLM, that side is listed as failed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from bench_gpu import SHAPES, Card, call_in_process, engine_with_random_weights, limits, measure_card
from common import machine, note, options, stdout_to_stderr, table, temporary_folder, today, versions
from random_model import Shape, words, write_model

from polypref.config.registry import Checkpoint, Runtime
from polypref.requests.engines import Request

SHAPES = SHAPES | {"13B": Shape(width=5120, inner=13824, layers=40, heads=40, kv_heads=40, vocabulary=32_000)}
WIDTH, PROMPT_WORDS, ANSWER_TOKENS, TOGETHER = 5, 100, 128, 16
"""``TOGETHER``: number of prompts per call of `generate`."""
Figures = tuple[int, int, int, float]
"""Prompts, rows (beams or prompts) in a forward pass, generated tokens of the outputs, wall seconds."""


@contextmanager
def random_weights(device: str) -> Iterator[None]:
    """Let transformers create random weights on the device instead of loading a checkpoint."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    def create(path: str, dtype: str, **_: Any) -> Any:
        torch.manual_seed(0)
        with torch.device(device):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path), dtype=getattr(torch, dtype))

    with mock.patch.object(AutoModelForCausalLM, "from_pretrained", create):
        yield


def asked(count: int, tokens: int, beams: int) -> list[Request]:
    """Return requests with different prompts; ``beams`` 1 is greedy decoding."""
    decoding = {"max_tokens": tokens, **({"beam_size": beams} if beams > 1 else {"temperature": 0.0})}
    chats = [[{"role": "user", "content": text}] for text in words(count, PROMPT_WORDS)]
    return [Request(str(n), chat, decoding) for n, chat in enumerate(chats)]


def rounds(run: Callable[[int, int], int], at_once: int, tokens: int, seconds: float) -> tuple[int, int, float]:
    """Run as many rounds of ``at_once`` prompts as fit into the seconds; ``run`` gets prompts and tokens per output.

    Returns
    -------
    prompts, generated tokens, wall seconds of the measured rounds
    """
    run(min(2, at_once), 2)
    start = time.perf_counter()
    run(at_once, max(2, tokens // 8))
    expected = (time.perf_counter() - start) * 8
    count = at_once * max(1, min(4, int(seconds / expected)))
    start = time.perf_counter()
    generated = run(count, tokens)
    return count, generated, time.perf_counter() - start


def completed(engine: Any, beams: int) -> Callable[[int, int], int]:
    """Return the ``run`` of one of the workflow's engines."""

    def run(count: int, tokens: int) -> int:
        done = list(engine.complete(asked(count, tokens, beams)))
        if failed := [one.error for one in done if one.error]:
            raise SystemExit(f"{len(failed)} requests failed: {failed[0]}")
        return sum(one.completion_tokens for one in done)

    return run


def beam_search(checkpoint: Checkpoint, tokens: int, seconds: float) -> dict[str, Figures]:
    """Measure complete's engine for beam search, and `generate` with the same model."""
    import torch

    from polypref.requests.engines.transformers import open_engine

    device = "cuda" if checkpoint.runtime.gpus else "cpu"
    with random_weights(device):
        engine = open_engine(checkpoint, checkpoint.path, None)
    columns = PROMPT_WORDS + 8 + tokens
    at_once = max(1, min(engine.rows // WIDTH, engine.room // (columns * WIDTH)))
    count, generated, took = rounds(completed(engine, WIDTH), at_once, tokens, seconds)
    found = {"complete, 5 beams": (count, at_once * WIDTH, generated, took)}
    note(f"complete, 5 beams: {generated / took:,.0f} tokens/s")
    if device == "cuda":
        torch.cuda.empty_cache()

    def generate(count: int, most: int) -> int:
        for first in range(0, count, TOGETHER):
            chats = [request.messages for request in asked(count, most, WIDTH)[first : first + TOGETHER]]
            ids = torch.tensor([engine.render(chat) for chat in chats], device=device)
            with torch.inference_mode():
                engine.model.generate(
                    ids, attention_mask=torch.ones_like(ids), num_beams=WIDTH, early_stopping=False, do_sample=False,
                    min_new_tokens=most, max_new_tokens=most, pad_token_id=2,
                )  # fmt: skip
        return count * most

    count, generated, took = rounds(generate, TOGETHER, tokens, seconds / 2)
    found["generate, 5 beams"] = (count, TOGETHER * WIDTH, generated, took)
    note(f"generate, 5 beams: {generated / took:,.0f} tokens/s")
    engine.close()
    return found


def greedy(checkpoint: Checkpoint, tokens: int, seconds: float, rows: int) -> dict[str, Figures]:
    """Measure greedy decoding of vLLM; at least as many prompts are given as beam search has beams at a time."""
    with engine_with_random_weights(checkpoint) as engine:
        at_once = engine.llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
        prompts = min(rows, at_once)
        count, generated, took = rounds(completed(engine, 1), prompts, tokens, seconds)
    note(f"vLLM, greedy: {generated / took:,.0f} tokens/s")
    return {"vLLM, greedy": (count, prompts, generated, took)}


def cells(name: str, figures: Figures, shape: Shape, card: Card) -> list[str]:
    """Return the row of a side; the minimum time is that of reading all weights in each step, and the cache."""
    prompts, at_once, generated, took = figures
    beams = 1 if "greedy" in name else WIDTH
    answer = math.ceil(generated / prompts)
    least, _ = limits(shape, card, prompts * beams, PROMPT_WORDS, answer, at_once)
    rates = [f"{generated / took:,.0f}", f"{beams * generated / took:,.0f}"]
    return [name, f"{prompts:,}", f"{at_once:,}", *rates, f"{least / took:.0%}"]


def main() -> None:
    arguments = options(__doc__, size="8B", seconds=100.0, dry_device=False)
    dry, tokens = arguments.dry_device or arguments.smoke, ANSWER_TOKENS
    if dry:
        arguments.size, arguments.seconds, tokens = "tiny", 1.0, 8
    shape, rows, found = SHAPES[arguments.size], [], {}
    with temporary_folder("gpu-beam") as folder, stdout_to_stderr():
        card = call_in_process(measure_card, dry)
        write_model(folder / "model", shape)
        runtime = Runtime(gpus=0 if dry else 1, kv_cache_gb=0.05, max_num_seqs=40 if dry else None)
        checkpoint = Checkpoint(engine="vllm", path=str(folder / "model"), dtype="bfloat16", runtime=runtime)
        found = call_in_process(beam_search, checkpoint, tokens, arguments.seconds)
        searched = found["complete, 5 beams"]
        try:
            found |= call_in_process(greedy, checkpoint, tokens, arguments.seconds, searched[1])
        except Exception as error:  # the machine may have no vLLM, or another version
            note(f"vLLM, greedy: {type(error).__name__}: {error}")
    rows = [cells(name, figures, shape, card) for name, figures in found.items()]
    print(f"### Beam search of {arguments.size}: {shape.parameters / 1e9:.1f}B parameters on {card.name}\n")
    print(f"Prompts of about {PROMPT_WORDS} tokens, outputs of {tokens}; rows are beams, or greedily decoded prompts.")
    print(f"The card's measured limit is {card.bandwidth / 1e9:,.0f} GB/s. The start of the engine is not included.\n")
    head = ["side", "prompts", "rows at a time", "output tokens/s", "tokens of all rows/s", "share of memory limit"]
    print(table(head, rows))
    if "vLLM, greedy" in found:
        search, plain = (WIDTH * searched[2] / searched[3], found["vLLM, greedy"][2] / found["vLLM, greedy"][3])
        print(f"\nA token of a beam costs as much as {plain / search:.2f} tokens of greedy decoding.")
    print(f"\n*{today()}, {card.name}, {machine()}; {versions()}.*")


if __name__ == "__main__":
    main()
