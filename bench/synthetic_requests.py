"""Requests for the benchmarks, in any number, for the miniature's models and in the words of its language."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import DEMO, ROOT

from polypref.config.registry import Runtime
from polypref.config.sections import Checkpoint
from polypref.files.schemas import JUDGE_REQUESTS, REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.asking import RequestSettings
from polypref.requests.batch import Batch
from polypref.requests.checkpoints import content_revision
from polypref.requests.complete import complete
from polypref.requests.engines import Request
from polypref.requests.generate import ask_responses
from polypref.requests.judge import ask_verdicts
from polypref.requests.translate import ask_translations

LABELS = {"temperature": 0.0, "max_tokens": 20, "choices": ["A", "B", "TIE"]}
"""Decoding of a judge."""

NAMES = {"ar": "Arabic", "de": "German", "es": "Spanish", "is": "Icelandic", "ja": "Japanese", "nl": "Dutch",
         "ru": "Russian", "zh": "Chinese"}  # fmt: skip


def checkpoint(name: str) -> Checkpoint:
    """Return the registry entry of one of the miniature's checkpoints, with one thread."""
    runtime = Runtime(threads=1, kv_cache_gb=0.5)
    return Checkpoint(engine="vllm", path=str(DEMO / "models" / name), dtype="float32", runtime=runtime)


def answer_batch(paths: list[Path], folder: Path, registry: Checkpoint, engine: Any) -> int:
    """Complete request files as a batch does, with a running engine, and return the number of completions.

    The row store and the file of completions are written to a new folder, and the engine is not closed.
    """
    started = SimpleNamespace(complete=engine.complete, close=lambda: None)
    run = complete(list(map(str, paths)), folder, registry, folder / "completions.parquet", start=lambda *_: started)
    return run["requests"]


def requests_of(paths: list[Path]) -> list[Request]:
    """Return the requests of some files as an engine gets them."""
    batch = Batch(list(map(str, paths)))
    return [request for _, request in batch.requests(np.ones(len(batch), bool))]


def request_model(name: str, **decoding: Any) -> RequestSettings:
    """Return the model of the requests for that checkpoint."""
    path = DEMO / "models" / name
    return RequestSettings(name, str(path), content_revision(path), True, decoding, "float32")


def sentences(count: int, seed: int = 1) -> list[str]:
    """Return different random sentences of the words in the miniature's WMT24++."""
    lines = (DEMO / "wmt24pp/en-de_DE.jsonl").read_text(encoding="utf-8").splitlines()
    known = sorted({word.strip(".?!") for line in lines for word in json.loads(line)["source"].split()})
    rng, texts = random.Random(seed), {}
    while len(texts) < count:
        texts[" ".join(rng.choices(known, k=rng.randint(5, 12))) + "."] = None
    return list(texts)


def write_translations(folder: Path, count: int, fields: int = 1, languages: int = len(NAMES)) -> list[Path]:
    """Write one file per language and field, each with ``count`` requests for a greedy translation."""
    files = []
    for field in range(fields):
        items = [{"item_id": f"{n:06d}", "text": text} for n, text in enumerate(sentences(count, seed=field))]
        for code in sorted(NAMES)[:languages]:
            model = request_model("strong", temperature=0.0, max_tokens=64)
            path = folder / f"requests/{field}.{code}.parquet"
            write_table(path, ask_translations(items, "text", model, "x-alma", "none", code, NAMES[code]), REQUESTS)
            files.append(path)
    return files


def reply_rows(texts: list[str], model: RequestSettings) -> list[dict]:
    """Return requests to reply to prompts."""
    return ask_responses([{"item_id": f"{n:06d}", "prompt": text} for n, text in enumerate(texts)], model, "en")


def write_replies(folder: Path, count: int) -> list[Path]:
    """Write a file of requests to reply to prompts with sampling."""
    path = folder / "requests/replies.parquet"
    write_table(path, reply_rows(sentences(count), request_model("strong", temperature=0.7, max_tokens=32)), REQUESTS)
    return [path]


def verdict_rows(texts: list[str], judge: RequestSettings, prompt: str) -> list[dict]:
    """Return requests to judge pairs of answers in both orders; a third of the texts are the prompts."""
    pairs = len(texts) // 3
    ids = [f"{n:06d}" for n in range(pairs)]
    prompts = [{"item_id": i, "prompt_id": i, "language": "en", "prompt": texts[n]} for n, i in enumerate(ids)]
    answers = [
        [{"item_id": i, "text": texts[pairs * (side + 1) + n], "error": None} for n, i in enumerate(ids)]
        for side in range(2)
    ]
    template = (ROOT / "resources/prompts" / prompt).read_text(encoding="utf-8")
    return ask_verdicts(prompts, ("policy", answers[0]), {"opponent": answers[1]}, judge, template, "English")


def write_verdicts(folder: Path, rows: list[dict]) -> list[Path]:
    """Write a file of requests to judge."""
    path = folder / "requests/verdicts.parquet"
    write_table(path, rows, JUDGE_REQUESTS)
    return [path]
