"""Compare the completions of the miniature's checkpoints on a GPU with those on a CPU, through the workflow's engine.

    python bench/gpu_check.py answers.json --cpu      on a machine without a GPU: write the completions
    python bench/gpu_check.py answers.json            on a machine with a GPU: compare

The requests are greedy, sampled, by beam search, and for labels with log-probabilities. The CPU computes in float32 and
the GPU in bfloat16, so a few texts may differ.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import machine, note, stdout_to_stderr, table, today, versions
from synthetic_requests import LABELS, checkpoint, reply_rows, request_model, sentences, verdict_rows

from polypref.config.registry import Runtime
from polypref.requests.complete import to_request
from polypref.requests.translate import ask_translations

COUNT = 60


def tasks() -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Return requests by kind, with the name of their checkpoint."""
    texts = sentences(COUNT)
    items = [{"item_id": f"{n:06d}", "text": text} for n, text in enumerate(texts)]

    def translations(**more: Any) -> list[dict[str, Any]]:
        model = request_model("strong", temperature=0.0, max_tokens=64, **more)
        return ask_translations(items, "text", model, "x-alma", "none", "de", "German")

    return {
        "greedy": ("strong", translations()),
        "beam search": ("strong", translations(beam_size=5)),
        "sampled": ("strong", reply_rows(texts, request_model("strong", temperature=0.7, max_tokens=32))),
        "labels": ("judge", verdict_rows(texts, request_model("judge", **LABELS), "judge-demo.txt")),
    }


def complete_all(gpu: bool) -> dict[str, list[list[Any]]]:
    """Return text and log-probabilities of every completion by kind of request."""
    from polypref.requests.engines.vllm import open_engine

    completions: dict[str, list[list[Any]]] = {}
    kinds = tasks()
    for name in dict.fromkeys(name for name, _ in kinds.values()):
        registry = checkpoint(name)
        if gpu:
            registry = registry.model_copy(update={"dtype": "bfloat16", "runtime": Runtime(gpus=1)})
        engine = open_engine(registry, registry.path, None)
        for kind, (owner, rows) in kinds.items():
            if owner == name:
                found = {each.request_id: each for each in engine.answer([to_request(row) for row in rows])}
                rows_done = [found[row["request_id"]] for row in rows]
                if failed := [each.error for each in rows_done if each.error is not None]:
                    raise SystemExit(f"{kind}: {len(failed)} of {len(rows_done)} failed: {failed[0]}")
                completions[kind] = [[each.text, each.logprobs] for each in rows_done]
                note(f"{kind}: {len(rows_done)} completions")
        engine.close()
    return completions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="file with the completions of the CPU")
    parser.add_argument("--cpu", action="store_true", help="complete the requests on the CPU and write the file")
    arguments = parser.parse_args()
    with stdout_to_stderr():
        completions = complete_all(not arguments.cpu)
    path = Path(arguments.file)
    if arguments.cpu:
        path.write_text(json.dumps(completions), encoding="utf-8")
        return
    expected = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for kind, here in completions.items():
        pairs = list(zip(here, expected[kind], strict=True))
        same = sum(a[0] == b[0] for a, b in pairs)
        differences = [abs(a[1][label] - b[1][label]) for a, b in pairs if a[1] for label in a[1]]
        rows.append([kind, len(here), same, f"{max(differences):.3f}" if differences else ""])
    print(
        table(["requests", "completions", "same text as on the CPU", "maximum difference of log-probabilities"], rows)
    )
    print(f"\n*{today()}, {machine()}; {versions()}.*")


if __name__ == "__main__":
    main()
