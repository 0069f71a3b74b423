"""Measure jobs, time and memory of a dry run by number of languages, architectures and opponents, with 8 translators.

python bench/bench_dag.py
"""

from __future__ import annotations

import itertools
import json
import os
import re
import string
import time
from pathlib import Path

import yaml
from common import Cost, options, snakemake, table, temporary_folder

SIZES = ((9, 4, 1), (25, 4, 1), (50, 4, 1), (100, 4, 1), (100, 10, 10))
"""Numbers of languages, architectures and opponents."""
TRANSLATORS = 8


def codes(count: int) -> list[str]:
    """Return English and further two-letter codes, most of which are no real languages."""
    letters = ("".join(pair) for pair in itertools.product(string.ascii_lowercase, repeat=2))
    return ["en", *itertools.islice((code for code in letters if code != "en"), count - 1)]


def write_config(folder: Path, count: int, architectures: int, opponents: int) -> Path:
    """Write the configuration of an experiment of this size and its table of languages; the models do not exist."""
    languages = {
        code: {"name": code, "endonym": code, "iso639_3": f"{code}x", "script": "Latn", "wmt24pp": f"{code}_XX"}
        for code in codes(count)
    }
    (folder / "resources").mkdir(parents=True, exist_ok=True)
    (folder / "resources/languages.yaml").write_text(yaml.safe_dump(languages), encoding="utf-8")
    translators = [f"translator-{n}" for n in range(TRANSLATORS)]
    others = [f"opponent-{n}" for n in range(opponents)]
    names = [*translators, "strong", "weak", "base", "judge", *others]
    translated = {"translate": translators[0]}
    entries = [
        {"prompt": translated, "chosen": translated, "rejected": translated},
        {"prompt": translated, "chosen": {"generate": "strong"}, "rejected": {"generate": "weak"}},
        {"prompt": translated, "chosen": {"generate": "strong"}, "rejected": {"translate": translators[1]}},
        {"prompt": "english", "chosen": "english", "rejected": "english"},
        *(
            {"prompt": {"translate": name}, "chosen": {"generate": "strong"}, "rejected": {"generate": "weak"}}
            for name in translators[1:]
        ),
    ]
    settings = {
        "registry": "registry.yaml",
        "languages": list(languages),
        "sources": {"one": {"path": "owner/pairs"}},
        "architectures": dict(zip(string.ascii_uppercase, entries[:architectures], strict=False)),
        "wmt": {"path": "owner/wmt", "translators": translators},
        "training": {"base": "base"},
        "evaluation": {"path": "owner/prompts", "opponents": others},
        "judging": {"judge": "judge"},
    }
    registry = {
        "checkpoints": {name: {"engine": "vllm", "path": f"owner/{name}"} for name in names},
        "models": {
            **{name: {"checkpoint": name, "prompt": "instruct"} for name in translators},
            **{name: {"checkpoint": name} for name in ("strong", "weak")},
        },
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry), encoding="utf-8")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def create_outputs(folder: Path, summary: str) -> int:
    """Create every file in Snakemake's summary, with the same time stamp, so that all of them are up to date."""
    files = [line.split("\t")[0] for line in summary.split("output_file\t")[1].splitlines()[1:] if "\t" in line]
    now = time.time()
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({}), encoding="utf-8")
        os.utime(path, (now, now))
    return len(files)


def measure(*size: int) -> tuple[int, int, Cost, Cost]:
    """Return the numbers of jobs and files, and the costs of the first dry run and of one with nothing to do."""
    with temporary_folder("dag") as folder:
        config = write_config(folder, *size)
        first = snakemake(folder, "--dry-run", config=config)
        found = re.search(r"^total +(\d+)$", first.output, re.MULTILINE)
        files = create_outputs(folder, snakemake(folder, "--summary", config=config).output)
        again = snakemake(folder, "--dry-run", "--quiet", "rules", config=config)
        if not found or "Nothing to be done" not in again.output:
            raise RuntimeError(f"unexpected output of the dry run:\n{again.output[-2000:]}")
        return int(found[1]), files, first, again


def main() -> None:
    smoke = options(__doc__).smoke
    rows = []
    for size in ((2, 4, 1),) if smoke else SIZES:
        jobs, files, first, again = measure(*size)
        rows.append(
            [
                *size,
                f"{jobs:,}",
                f"{files:,}",
                *(f"{value:.1f}" for value in (first.wall, first.processor, first.processor / jobs * 1000)),
                *(f"{value:.1f}" for value in (again.wall, again.processor, again.processor / files * 1000)),
                f"{max(first.memory, again.memory):.0f}",
            ]
        )
    print("The first dry run of the whole workflow, and one after all files exist, so that nothing is to be done. The")
    print("experiment has eight translators on WMT24++. The budget is 15 s and 500 MB for the largest one.\n")
    header = [
        "languages",
        "architectures",
        "opponents",
        "jobs",
        "files",
        "first run: wall s",
        "processor s",
        "ms per job",
        "nothing to do: wall s",
        "processor s",
    ]
    print(table([*header, "ms per file", "memory MB"], rows))


if __name__ == "__main__":
    main()
