"""Compare beam search through `complete` with direct calls of CTranslate2 and `generate`, on a small real model.

    python bench/bench_beam.py
    python bench/bench_beam.py --keep FOLDER       keep each side's figures, and reuse those that FOLDER has

SmolLM2-135M-Instruct in float32 (created by tools/real_model.py) translates sentences of this project's documentation,
or the lines of `--texts FILE`, with five beams. Each side runs in a separate process with the same prompts. Loading the
model, converting it for CTranslate2 and generating a first token are not measured. `complete` also reads the file of
requests and writes the row store. For comparison, vLLM decodes five times as many prompts greedily, so that a forward
pass has as many rows; and four prompts are also completed by the code of the commit `--old`, whose beam search sent
each beam and token to vLLM as a new request. `--old ''` omits it.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from beam_differences import HEAD, differences
from beam_rules import compared, searched
from beam_sides import TOGETHER, WIDTH, rendered
from common import ROOT, SCRIPTS, note, options, run_process, stdout_to_stderr, table, temporary_folder

sys.path.insert(0, str(ROOT / "tools"))
from real_model import real_model

PROMPT = "Translate into German. Reply with the translation alone.\n\n"
SIZES, FEW = (24, 200), 4
OLD = "8ebe72864f855d0b35d72d470fb07ffec09dd91b"
"""The last commit whose beam search ran on vLLM."""
CAPTION = f"""SmolLM2-135M-Instruct, float32, {WIDTH} beams, at most {{tokens}} new tokens, {{threads}} thread. The
direct calls get {TOGETHER} prompts of similar length at a time. The budget is 0.9 of the faster direct call, in
processor time. Greedy decoding, by vLLM, gets {WIDTH} times as many prompts, so that a forward pass has as many rows.
"Before" is `complete` at commit {{old}}, which ran beam search on vLLM, one request per beam and token.
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


def side(name: str, model: Path, prompts: list[str], scripts: Path, keep: Path, **how: int) -> dict[str, Any]:
    """Run one side in a separate process, unless its figures were kept, and print its rate.

    ``name``: "complete", "before" (with the ``scripts`` of an older commit), "ctranslate2", "generate" or "greedy".
    """
    file = keep / f"{len(prompts)}-{name}.json"
    job = {"name": "complete" if name == "before" else name, "model": str(model), "prompts": prompts, **how}
    if not file.is_file():
        working = file.with_suffix(".job")
        working.write_text(json.dumps(job), encoding="utf-8")
        environment = {"POLYPREF_SCRIPTS": str(scripts), "OMP_NUM_THREADS": str(how["threads"])}
        run_process([sys.executable, str(ROOT / "bench/beam_sides.py"), str(working)], env=environment)
        file.write_text(json.dumps(json.loads(working.read_text(encoding="utf-8")) | {"job": job}), encoding="utf-8")
        working.unlink()
    found = json.loads(file.read_text(encoding="utf-8"))
    if found["job"] != job:
        raise SystemExit(f"{file}: kept from a run with other prompts or options; choose another --keep folder")
    note(f"{len(prompts)} prompts, {name}: {found['tokens'] / found['processor']:.1f} tokens per processor second")
    return found


def scripts_of(commit: str, folder: Path) -> Path | None:
    """Return workflow/scripts of another commit; None if git does not have the commit."""
    archive = subprocess.run(["git", "archive", commit, "workflow/scripts"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        note(f"git has no commit {commit}, so the code before it is not measured: {archive.stderr.decode().strip()}")
        return None
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder / "workflow/scripts"


def cells(found: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """Return the rows of the table for sides with the same prompts."""
    rows = []
    for name, one in found.items():
        reference = found.get("generate", found["complete"])["texts"]
        same = "" if name == "greedy" else sum(map(str.__eq__, one["texts"], reference))
        seconds = [one["processor"], one["wall"]]
        rates = [f"{one['tokens'] / value:.1f}" for value in seconds]
        rows.append([name, *rates, *(f"{s:.0f}" for s in seconds), f"{one['peak']:,.0f}", same])
    return rows


def main() -> None:
    arguments = options(__doc__, repeats=1, tokens=48, most=SIZES[-1], threads=1, texts="", keep="", old=OLD)
    sizes, few, old = [size for size in SIZES if size < arguments.most] + [arguments.most], FEW, arguments.old
    if arguments.smoke:
        sizes, few, old, arguments.tokens = [3], 2, "", 4
    how = {"tokens": arguments.tokens, "threads": arguments.threads}
    model, rows, explained = real_model(), [], []
    with temporary_folder("beam") as folder:
        keep = Path(arguments.keep or folder)
        keep.mkdir(parents=True, exist_ok=True)

        def run(name: str, count: int, scripts: Path = SCRIPTS) -> dict[str, Any]:
            prompts = [PROMPT + text for text in sentences(count, arguments.texts)]
            return side(name, model, prompts, scripts, keep, **how)

        for size in sizes:
            found = {name: run(name, size) for name in ("complete", "generate", "ctranslate2")}
            if size == sizes[0]:
                found["greedy"] = run("greedy", size * WIDTH)
            rows += [[f"{size}, {row[0]}", *row[1:]] for row in cells(found)]
            ids = rendered(str(model), [PROMPT + text for text in sentences(size, arguments.texts)])[1]
            outputs = (found[name]["ids"] for name in ("complete", "generate"))
            explained += [[f"{size}, {row[0]}", *row[1:]] for row in differences(model, ids, *outputs, how["tokens"])]
        if old and (scripts := scripts_of(old, folder)):
            found = {"complete": run("complete", few), "before": run("before", few, scripts)}
            rows += [[f"{few}, {row[0]}", *row[1:]] for row in cells(found)]
    with stdout_to_stderr():
        rules = compared(*[5] if arguments.smoke else [])
        tiny, others = searched(*[5] if arguments.smoke else [])
    print(CAPTION.format(**how, old=OLD[:7]))
    head = ["prompts and side", "tokens per processor second", "per wall second", "processor s", "wall s", "peak MB"]
    print(table([*head, "texts as `generate`'s"], rows))
    print("\nThe same comparison for the miniature's models, in float32: complete's engine, and `generate` for one")
    print(f"prompt at a time.\n\n{table(['model', 'prompts', 'best beams as those of `generate`'], tiny)}")
    if explained + others:
        print("\nBest beams of `complete` that differ from those of `generate`. Scores are mean natural-log")
        print("probabilities of the tokens, in float64. The last column is what `generate` finds in float64.\n")
        print(table(HEAD, explained + others))
    print("\nCTranslate2 has another stopping rule, so its best beams differ. On the miniature's models:\n")
    print(table(["model and side", "prompts", "other best beams", "steps"], rules))


if __name__ == "__main__":
    main()
