"""Run the benchmarks and keep what they print in docs/benchmarks.md, one section each (`make bench`).

    python bench/run.py                 all of them
    python bench/run.py dag store       two of them; the other sections stay as they are
    python bench/run.py --smoke         tiny sizes, printed and not kept

Each ``bench_*.py`` prints a section in Markdown on stdout and its progress on stderr.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from common import load, machine, today, versions

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
ITEMS = {
    "complete": "`complete` against a bare LLM.chat",
    "beam": "Beam search",
    "batch": "One engine start per batch against one per file",
    "judging": "Judging against one call per verdict",
    "others": "distilabel and Bespoke Curator",
    "incremental": "What a change costs",
    "jobs": "Small jobs",
    "dag": "The DAG",
    "store": "The row store",
    "datapath": "The data path",
    "training": "Training",
    "slurm": "A batch through Slurm",
    "statistics": "Statistics",
    "coverage": "Coverage of the intervals",
}
"""Benchmarks in the order of the page; those on the GPU (bench_gpu.py) run by hand, where there is one."""


def replaced(page: str, name: str, section: str) -> str:
    """The page with the section between two comments replaced; it must have them."""
    mark = re.compile(rf"(<!-- bench {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not mark.search(page):
        raise SystemExit(f"{PAGE}: has no place for {name}: <!-- bench {name} --> and <!-- end {name} -->")
    return mark.sub(lambda found: f"{found[1]}{section}\n{found[2]}", page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", nargs="*", help=f"some of {', '.join(ITEMS)}")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, printed and not kept")
    arguments = parser.parse_args()
    if wrong := set(arguments.items) - set(ITEMS):
        parser.error(f"no such benchmark: {', '.join(sorted(wrong))}; there are {', '.join(ITEMS)}")
    failed = []
    for name in arguments.items or ITEMS:
        print(f"== {name}", file=sys.stderr, flush=True)
        before = load()
        command = [sys.executable, str(HERE / f"bench_{name}.py"), *(["--smoke"] if arguments.smoke else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            failed.append(name)
            continue
        where = f"{today()}, {machine()}, load per core before and after {before} and {load()}; {versions()}."
        section = f"## {ITEMS[name]}\n\n{done.stdout.strip()}\n\n*{where}*\n"
        print(section, flush=True)
        if not arguments.smoke:
            PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, section), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}; the messages are above", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
