"""The sides of bench_beam.py: each prepares a model and returns a function that completes the prompts.

    python bench/beam_sides.py JOB.json      run the side that the file describes, and write the result to the file

A side runs in a separate process; POLYPREF_SCRIPTS names the `workflow/scripts` of the checkout to measure.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import temporary_folder

WIDTH, TOGETHER = 5, 16
"""Number of beams, and number of prompts per batch of the direct calls, which are sorted by length."""
Tokens = list[int]
Run = Callable[[], tuple[list[str], list[Tokens] | None, int]]
"""Completes the prompts and returns texts, token ids (None if they are not known) and the number of tokens."""


def answered(name: str, model: str, prompts: list[str], tokens: int, threads: int) -> dict[str, Any]:
    """Run one side; return its texts, ids, tokens, wall seconds, processor seconds and peak memory in MB."""
    with temporary_folder("beam") as folder:
        run = SIDES[name](model, prompts, tokens, threads, folder)
        wall, processor = time.perf_counter(), time.process_time()
        texts, ids, written = run()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"texts": texts, "ids": ids, "tokens": written, "wall": wall, "processor": processor, "peak": peak}


def complete(model: str, prompts: list[str], tokens: int, threads: int, folder: Path, width: int = WIDTH) -> Run:
    """Prepare the batch of a Snakemake job, with a running engine."""
    from polypref.config.sections import Checkpoint
    from polypref.files.schemas import COMPLETIONS, REQUESTS
    from polypref.files.table_writer import write_table
    from polypref.files.tables import read_rows
    from polypref.requests import asking, engines
    from polypref.requests import complete as completing
    from polypref.requests.checkpoints import content_revision
    from polypref.requests.generate import ask_responses

    runtime = {"threads": threads, "kv_cache_gb": 2, "max_model_len": 2048}
    checkpoint = Checkpoint(engine="vllm", path=model, dtype="float32", runtime=runtime)
    decoding = {"beam_size": width, "max_tokens": tokens}
    # An older checkout has other names, and only one engine.
    settings_of = getattr(asking, "RequestSettings", None) or asking.Asked
    settings = settings_of("real", model, content_revision(Path(model)), True, decoding, "float32")
    rows = ask_responses([{"item_id": str(n), "prompt": text} for n, text in enumerate(prompts)], settings, "de")
    write_table(folder / "requests.parquet", rows, REQUESTS)
    kind = [engines.engine_of(checkpoint, decoding)] if hasattr(engines, "engine_of") else []
    engine = engines.open_engine(checkpoint, model, None, *kind)
    first = engines.Request("first", [{"role": "user", "content": "one"}], {**decoding, "max_tokens": 2})
    list((engine.complete if hasattr(engine, "complete") else engine.answer)([first]))
    ids = record_tokens(engine)

    def run() -> tuple[list[str], list[Tokens] | None, int]:
        batch = [[str(folder / "requests.parquet")], folder / "store", checkpoint]
        if "output" in inspect.signature(completing.complete).parameters:
            completing.complete(*batch, folder / "completions.parquet", start=lambda *_: engine)
            made = read_rows(folder / "completions.parquet", COMPLETIONS)
        else:  # an older checkout
            made, _ = completing.complete(*batch, start=lambda *_: engine)
        by_id = {row["request_id"]: row for row in made}
        texts = [by_id[row["request_id"]]["text"] for row in rows]
        kept = [ids[row["request_id"]] for row in rows] if ids else None
        return texts, kept, sum(row["completion_tokens"] for row in made)

    return run


def record_tokens(engine: Any) -> dict[str, Tokens]:
    """Return a dictionary that an engine for beam search fills with the best beam of each request, with end token."""
    found: dict[str, Tokens] = {}
    if completion := getattr(engine, "_completion", None):

        def recorded(search: Any) -> Any:
            found[search.request.request_id] = search.state.finished[0][1]
            return completion(search)

        engine._completion = recorded
    return found


def greedy(*arguments: Any) -> Run:
    """Prepare the same batch without beams, which runs on vLLM."""
    return complete(*arguments, width=1)


def rendered(model: str, prompts: list[str]) -> tuple[Any, list[Tokens]]:
    """Return the tokenizer and the prompts as token ids."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chats = [[{"role": "user", "content": text}] for text in prompts]
    options = {"add_generation_prompt": True, "return_dict": True}
    return tokenizer, [tokenizer.apply_chat_template(chat, **options)["input_ids"] for chat in chats]


def bare_ctranslate2(model: str, prompts: list[str], tokens: int, threads: int, folder: Path) -> Run:
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(model, low_cpu_mem_usage=True).convert(str(folder / "model"), quantization="float32")
    tokenizer, ids = rendered(model, prompts)
    generator = ctranslate2.Generator(str(folder / "model"), inter_threads=1, intra_threads=threads)

    generator.generate_batch([["a"]], beam_size=WIDTH, max_length=2)

    def run() -> tuple[list[str], list[Tokens], int]:
        made = generator.generate_batch(
            [tokenizer.convert_ids_to_tokens(prompt) for prompt in ids], beam_size=WIDTH, max_length=tokens,
            max_batch_size=TOGETHER, include_prompt_in_result=False, return_end_token=True,
            end_token=[tokenizer.eos_token_id],
        )  # fmt: skip
        return decoded(tokenizer, [result.sequences_ids[0] for result in made])

    return run


def bare_generate(model: str, prompts: list[str], tokens: int, threads: int, folder: Path) -> Run:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    tokenizer, ids = rendered(model, prompts)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
    loaded.generate(torch.tensor([[5]]), num_beams=WIDTH, max_new_tokens=2, do_sample=False)

    def run() -> tuple[list[str], list[Tokens], int]:
        found: dict[int, Tokens] = {}
        for first in range(0, len(order), TOGETHER):
            part = order[first : first + TOGETHER]
            found.update(zip(part, generated(loaded, tokenizer, [ids[n] for n in part], tokens), strict=True))
        return decoded(tokenizer, [found[n] for n in range(len(ids))])

    return run


def generated(loaded: Any, tokenizer: Any, ids: list[Tokens], tokens: int) -> list[Tokens]:
    """Return the best beam of each prompt, with its end token, from one call of `generate`."""
    import torch

    end, longest = tokenizer.eos_token_id, max(map(len, ids))
    rows = torch.tensor([[end] * (longest - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
    with torch.inference_mode():
        output = loaded.generate(
            rows, attention_mask=mask, num_beams=WIDTH, early_stopping=False, length_penalty=1.0,
            max_new_tokens=tokens, do_sample=False, eos_token_id=end, pad_token_id=end,
        )  # fmt: skip
    return [row[: row.index(end) + 1] if end in row else row for row in output[:, longest:].tolist()]


def decoded(tokenizer: Any, ids: list[Tokens]) -> tuple[list[str], list[Tokens], int]:
    return [tokenizer.decode(one, skip_special_tokens=True) for one in ids], ids, sum(map(len, ids))


SIDES = {"complete": complete, "ctranslate2": bare_ctranslate2, "generate": bare_generate, "greedy": greedy}

if __name__ == "__main__":
    if os.environ.get("POLYPREF_SCRIPTS"):
        sys.path.insert(0, os.environ["POLYPREF_SCRIPTS"])
    file = Path(sys.argv[1])
    file.write_text(json.dumps(answered(**json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
