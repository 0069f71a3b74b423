"""Run the benchmarks and write their output to docs/benchmarks.md, one section per benchmark (`make bench`).

    python bench/run.py                 run all benchmarks
    python bench/run.py dag store       run two of them and replace only their sections
    python bench/run.py --smoke         use tiny sizes, and print the output without writing it

Each ``bench_*.py`` prints its section in Markdown to stdout, and its progress to stderr.
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
    "complete": "`complete` compared with LLM.chat",
    "beam": "Beam search",
    "batch": "One engine start per batch, or one per file",
    "judging": "Judging in a batch, or one call per verdict",
    "others": "distilabel and Bespoke Curator",
    "incremental": "The cost of a change",
    "jobs": "Small jobs",
    "dag": "The DAG",
    "store": "The row store",
    "scale": "Large batches",
    "datapath": "The data path",
    "evaluation": "Large evaluations",
    "report": "The report",
    "training": "Training",
    "slurm": "A batch through Slurm",
    "statistics": "Statistics",
    "coverage": "Coverage of the intervals",
    "seeds": "Coverage with several training seeds",
}
"""Benchmarks in the order of the page. bench_gpu.py is run by hand on a machine with a GPU."""


def replace_section(page: str, name: str, section: str) -> str:
    """Return the page with a new section between the two comments of a benchmark."""
    mark = re.compile(rf"(<!-- bench {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not mark.search(page):
        raise SystemExit(
            f"{PAGE}: there is no section {name}; add the comments <!-- bench {name} --> and <!-- end {name} -->"
        )
    return mark.sub(lambda found: f"{found[1]}{section}\n{found[2]}", page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", nargs="*", help=f"benchmarks to run: {', '.join(ITEMS)} (default: all)")
    parser.add_argument("--smoke", action="store_true", help="use tiny sizes, and print the output without writing it")
    arguments = parser.parse_args()
    if wrong := set(arguments.items) - set(ITEMS):
        parser.error(f"unknown benchmark {', '.join(sorted(wrong))}; choose from {', '.join(ITEMS)}")
    failed = []
    for name in arguments.items or ITEMS:
        print(f"== {name}", file=sys.stderr, flush=True)
        before = load()
        command = [sys.executable, str(HERE / f"bench_{name}.py"), *(["--smoke"] if arguments.smoke else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            failed.append(name)
            continue
        measured_on = f"{today()}, {machine()}, load per core before and after {before} and {load()}; {versions()}."
        section = f"## {ITEMS[name]}\n\n{done.stdout.strip()}\n\n*{measured_on}*\n"
        print(section, flush=True)
        if not arguments.smoke:
            PAGE.write_text(replace_section(PAGE.read_text(encoding="utf-8"), name, section), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}; see the messages above", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
