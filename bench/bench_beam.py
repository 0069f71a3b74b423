"""Compare beam search through `complete` with direct calls of CTranslate2 and `generate`, on a small real model.

    python bench/bench_beam.py
    python bench/bench_beam.py --scripts FOLDER --most 4     with another checkout's workflow/scripts for `complete`

SmolLM2-135M-Instruct in float32 (created by tools/real_model.py) translates sentences of this project's documentation,
or the lines of `--texts FILE`, with five beams. Each side runs in a separate process with the same prompts. Loading the
model, converting it for CTranslate2 and generating a first token are not measured. `complete` also reads the file of
requests and writes the row store. For comparison, vLLM decodes five times as many prompts greedily, so that a forward
pass has as many rows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beam_rules import compared
from common import ROOT, SCRIPTS, note, options, run_process, stdout_to_stderr, table, temporary_folder

sys.path.insert(0, str(ROOT / "tools"))
from real_model import real_model

WIDTH, TOGETHER = 5, 16
"""Number of beams, and number of prompts per batch of the direct calls, which are sorted by length."""
PROMPT = "Translate into German. Reply with the translation alone.\n\n"
SIZES = (24, 200)
CAPTION = f"""SmolLM2-135M-Instruct, float32, {WIDTH} beams, at most {{tokens}} new tokens, {{threads}} thread. The
direct calls get {TOGETHER} prompts of similar length at a time. The budget is 0.9 of the faster direct call, in
processor time. Greedy decoding, by vLLM, gets {WIDTH} times as many prompts, so that a forward pass has as many rows.
"""


def sentences(count: int, file: str) -> list[str]:
    """Return different sentences of 5 to 40 words from the lines of a file or from the documentation."""
    if file:
        found = Path(file).read_text(encoding="utf-8").splitlines()
    else:
        pages = [re.sub(r"```.*?```|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
                 for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "benchmarks.md"]  # fmt: skip
        prose = [" ".join(part.split()) for page in pages for part in page.split("\n\n") if part[:1].isalpha()]
        found = [sentence for part in prose for sentence in re.split(r"(?<=[.?!])\s+", part)]
    kept = list(dict.fromkeys(text for text in found if 5 <= len(text.split()) <= 40))
    random.Random(1).shuffle(kept)
    if len(kept) < count:
        raise SystemExit(f"{file or 'docs'}: {len(kept)} sentences of 5 to 40 words, but {count} are needed")
    return kept[:count]


def answered(name: str, model: str, texts: list[str], tokens: int, threads: int) -> dict[str, Any]:
    """Run one side; return its texts, tokens, wall seconds, processor seconds and peak memory in MB."""
    with temporary_folder("beam") as folder:
        run = SIDES[name](model, [PROMPT + text for text in texts], tokens, threads, folder)
        wall, processor = time.perf_counter(), time.process_time()
        found, written = run()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"texts": found, "tokens": written, "wall": wall, "processor": processor, "peak": peak}


Run = Callable[[], tuple[list[str], int]]


def complete(model: str, prompts: list[str], tokens: int, threads: int, folder: Path, width: int = WIDTH) -> Run:
    """Prepare the batch of a Snakemake job, with a running engine."""
    from polypref.config.sections import Checkpoint
    from polypref.files.schemas import REQUESTS
    from polypref.files.tables import write_table
    from polypref.requests import complete as completing
    from polypref.requests import engines
    from polypref.requests.asking import RequestSettings
    from polypref.requests.checkpoints import content_revision
    from polypref.requests.generate import ask_responses

    runtime = {"threads": threads, "kv_cache_gb": 2, "max_model_len": 2048}
    checkpoint = Checkpoint(engine="vllm", path=model, dtype="float32", runtime=runtime)
    decoding = {"beam_size": width, "max_tokens": tokens}
    settings = RequestSettings("real", model, content_revision(Path(model)), True, decoding, "float32")
    rows = ask_responses([{"item_id": str(n), "prompt": text} for n, text in enumerate(prompts)], settings, "de")
    write_table(folder / "requests.parquet", rows, REQUESTS)
    # Another checkout may have only one engine.
    kind = [engines.engine_of(checkpoint, decoding)] if hasattr(engines, "engine_of") else []
    engine = engines.open_engine(checkpoint, model, None, *kind)
    list(
        engine.complete([engines.Request("first", [{"role": "user", "content": "one"}], {**decoding, "max_tokens": 2})])
    )

    def run() -> tuple[list[str], int]:
        made, _ = completing.complete(
            [str(folder / "requests.parquet")], folder / "store", checkpoint, start=lambda *_: engine
        )
        by_id = {row["request_id"]: row for row in made}
        return [by_id[row["request_id"]]["text"] for row in rows], sum(row["completion_tokens"] for row in made)

    return run


def greedy(*arguments: Any) -> Run:
    """Prepare the same batch without beams, which runs on vLLM."""
    return complete(*arguments, width=1)


def rendered(model: str, prompts: list[str]) -> tuple[Any, list[list[int]]]:
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

    def run() -> tuple[list[str], int]:
        made = generator.generate_batch(
            [tokenizer.convert_ids_to_tokens(prompt) for prompt in ids], beam_size=WIDTH, max_length=tokens,
            max_batch_size=TOGETHER, include_prompt_in_result=False, return_end_token=True,
            end_token=[tokenizer.eos_token_id],
        )  # fmt: skip
        found = [result.sequences_ids[0] for result in made]
        return [tokenizer.decode(one, skip_special_tokens=True) for one in found], sum(map(len, found))

    return run


def bare_generate(model: str, prompts: list[str], tokens: int, threads: int, folder: Path) -> Run:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    tokenizer, ids = rendered(model, prompts)
    tokenizer.pad_token = tokenizer.eos_token
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
    end = tokenizer.eos_token_id
    loaded.generate(torch.tensor([[5]]), num_beams=WIDTH, max_new_tokens=2, do_sample=False)

    def run() -> tuple[list[str], int]:
        found: dict[int, list[int]] = {}
        for first in range(0, len(order), TOGETHER):
            part = order[first : first + TOGETHER]
            inputs = tokenizer.pad({"input_ids": [ids[n] for n in part]}, padding_side="left", return_tensors="pt")
            with torch.inference_mode():
                output = loaded.generate(
                    **inputs, num_beams=WIDTH, early_stopping=False, length_penalty=1.0, max_new_tokens=tokens,
                    do_sample=False,
                )  # fmt: skip
            for n, row in zip(part, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
                found[n] = row[: row.index(end) + 1] if end in row else row
        made = [found[n] for n in range(len(ids))]
        return [tokenizer.decode(one, skip_special_tokens=True) for one in made], sum(map(len, made))

    return run


SIDES = {"complete": complete, "ctranslate2": bare_ctranslate2, "generate": bare_generate, "greedy": greedy}


def side(name: str, model: Path, texts: list[str], tokens: int, threads: int, scripts: str) -> dict[str, Any]:
    """Run one side in a separate process, and print its rate."""
    with temporary_folder("beam") as folder:
        job = {"name": name, "model": str(model), "texts": texts, "tokens": tokens, "threads": threads}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        environment = {"POLYPREF_SCRIPTS": scripts or str(SCRIPTS), "OMP_NUM_THREADS": str(threads)}
        run_process([sys.executable, __file__, "--job", str(folder / "job.json")], env=environment)
        found = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    note(f"{len(texts)} prompts, {name}: {found['tokens'] / found['processor']:.1f} tokens per processor second")
    return found


def main() -> None:
    arguments = options(__doc__, repeats=1, tokens=48, most=SIZES[-1], threads=1, texts="", scripts="")
    sizes, tokens = [size for size in SIZES if size < arguments.most] + [arguments.most], arguments.tokens
    if arguments.smoke:
        sizes, tokens = [3], 4
    names = ["complete"] if arguments.scripts else ["complete", "ctranslate2", "generate"]
    model, rows = real_model(), []
    for size in sizes:
        texts = sentences(size, arguments.texts)
        found = {name: side(name, model, texts, tokens, arguments.threads, arguments.scripts) for name in names}
        if size == sizes[0] and not arguments.scripts:
            more = sentences(size * WIDTH, arguments.texts)
            found["greedy"] = side("greedy", model, more, tokens, arguments.threads, "")
        for name, one in found.items():
            reference = found.get("generate", one)["texts"]
            same = "" if name == "greedy" else sum(map(str.__eq__, one["texts"], reference))
            seconds = [one["processor"], one["wall"]]
            rates = [f"{one['tokens'] / value:.1f}" for value in seconds]
            rows.append([f"{size}, {name}", *rates, *(f"{s:.0f}" for s in seconds), f"{one['peak']:,.0f}", same])
    print(CAPTION.format(tokens=tokens, threads=arguments.threads))
    head = ["prompts and side", "tokens per processor second", "per wall second", "processor s", "wall s", "peak MB"]
    print(table([*head, "texts as `generate`'s"], rows))
    if not arguments.scripts:
        with stdout_to_stderr():
            rules = compared(*[5] if arguments.smoke else [])
        print("\nCTranslate2 has another stopping rule, so its best beams differ. On the miniature's models:\n")
        print(table(["model and side", "prompts", "other best beams", "steps"], rules))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--job")
    job, _ = parser.parse_known_args()
    if job.job:
        if os.environ.get("POLYPREF_SCRIPTS"):
            sys.path.insert(0, os.environ["POLYPREF_SCRIPTS"])
        file = Path(job.job)
        file.write_text(json.dumps(answered(**json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
    else:
        main()
