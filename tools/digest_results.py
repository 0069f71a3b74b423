"""Print one digest per stage of a results folder, or compare two folders file by file.

``tools/digest_results.py results`` prints stage, files, bytes and SHA-256. With a second folder, it prints the
stages of both folders and every file that differs, and exits with 1 if any file differs. Files that contain times are
omitted: logs, benchmarks, costs, the row stores (whose parts are named by process) and the records of trainings.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from fnmatch import fnmatch
from pathlib import Path

STAGES = [
    "sources", "pairs", "wmt", "prompts", "checkpoints", "settings", "requests", "completions", "translations",
    "responses", "datasets", "diagnostics", "policies", "trained", "answers", "verdicts", "tables", "figures", "report",
]  # fmt: skip
WITH_TIMES = [
    "*.cost.json",
    "tables/cost.csv",
    "tables/estimate.csv",
    "trained/*/attempts/*",
    "trained/*/run.json",
    "*.snakemake_timestamp",
]


def digests(folder: Path) -> dict[str, dict[str, str]]:
    """Return stage -> path in the folder -> SHA-256 of the file."""
    if not folder.is_dir():
        raise SystemExit(f"{folder}: no such folder; expected the results of a run")
    stages: dict[str, dict[str, str]] = {stage: {} for stage in STAGES}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        stage = name.parts[0].split(".")[0]
        if path.is_file() and stage in stages and not any(fnmatch(str(name), pattern) for pattern in WITH_TIMES):
            with path.open("rb") as file:
                stages[stage][str(name)] = hashlib.file_digest(file, "sha256").hexdigest()
    return stages


def print_stages(folder: Path, stages: dict[str, dict[str, str]]) -> None:
    print(folder)
    for stage, files in stages.items():
        whole = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in files.items()).encode()).hexdigest()
        size = sum((folder / name).stat().st_size for name in files)
        print(f"{stage:13} {len(files):4} files {size:12,} bytes  {whole[:16]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("other", type=Path, nargs="?")
    arguments = parser.parse_args()
    one = digests(arguments.results)
    print_stages(arguments.results, one)
    if arguments.other is None:
        return 0
    two = digests(arguments.other)
    print_stages(arguments.other, two)
    differing = [
        (stage, name)
        for stage in STAGES
        for name in sorted(one[stage].keys() | two[stage].keys())
        if one[stage].get(name) != two[stage].get(name)
    ]
    for stage, name in differing:
        missing = (
            "only in the first: "
            if name not in two[stage]
            else "only in the second: "
            if name not in one[stage]
            else ""
        )
        print(f"differs: {missing}{name}")
    print(f"{len(differing)} files differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
