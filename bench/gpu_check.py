"""On a GPU: the miniature's checkpoints through the workflow's engine, their answers against those given on a CPU.

    python bench/gpu_check.py answers.json --cpu      on a machine without a GPU: write the answers
    python bench/gpu_check.py answers.json            on one with a GPU: compare

Greedy, sampled, beam search, and labels with their log-probabilities; safetensors are loaded, nothing is faked. The CPU
computes in float32 and the GPU in bfloat16, so a few texts may differ.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import machine, note, stdout_to_stderr, table, today, versions
from requests_made import LABELS, asked, checkpoint, reply_rows, sentences, verdict_rows

from polypref.config.registry import Runtime
from polypref.requests.complete import to_request
from polypref.requests.translate import ask_translations

COUNT = 60


def tasks() -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Requests by kind, with the checkpoint that they are for."""
    texts = sentences(COUNT)
    items = [{"item_id": f"{n:06d}", "text": text} for n, text in enumerate(texts)]

    def translations(**more: Any) -> list[dict[str, Any]]:
        how = asked("strong", temperature=0.0, max_tokens=64, **more)
        return ask_translations(items, "text", how, "x-alma", "none", "de", "German")

    return {
        "greedy": ("strong", translations()),
        "beam search": ("strong", translations(beam_size=5)),
        "sampled": ("strong", reply_rows(texts, asked("strong", temperature=0.7, max_tokens=32))),
        "labels": ("judge", verdict_rows(texts, asked("judge", **LABELS), "judge-demo.txt")),
    }


def answers(gpu: bool) -> dict[str, list[list[Any]]]:
    """Text and log-probabilities of every request by kind."""
    from polypref.requests.engines.vllm import open_engine

    given: dict[str, list[list[Any]]] = {}
    kinds = tasks()
    for name in dict.fromkeys(name for name, _ in kinds.values()):
        registry = checkpoint(name)
        if gpu:
            registry = registry.model_copy(update={"dtype": "bfloat16", "runtime": Runtime(gpus=1)})
        engine = open_engine(registry, registry.path, None)
        for kind, (owner, rows) in kinds.items():
            if owner == name:
                found = {done.request_id: done for done in engine.answer([to_request(row) for row in rows])}
                done = [found[row["request_id"]] for row in rows]
                if failed := [one.error for one in done if one.error is not None]:
                    raise SystemExit(f"{kind}: {len(failed)} of {len(done)} failed: {failed[0]}")
                given[kind] = [[one.text, one.logprobs] for one in done]
                note(f"{kind}: {len(done)} answers")
        engine.close()
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="the answers of the CPU")
    parser.add_argument("--cpu", action="store_true", help="answer on the CPU and write the file")
    arguments = parser.parse_args()
    with stdout_to_stderr():
        given = answers(not arguments.cpu)
    path = Path(arguments.file)
    if arguments.cpu:
        path.write_text(json.dumps(given), encoding="utf-8")
        return
    expected = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for kind, here in given.items():
        pairs = list(zip(here, expected[kind], strict=True))
        same = sum(a[0] == b[0] for a, b in pairs)
        apart = [abs(a[1][label] - b[1][label]) for a, b in pairs if a[1] for label in a[1]]
        rows.append([kind, len(here), same, f"{max(apart):.3f}" if apart else ""])
    print(table(["requests", "answers", "the same text as on the CPU", "log-probabilities differ by at most"], rows))
    print(f"\n*{today()}, {machine()}; {versions()}.*")


if __name__ == "__main__":
    main()
