"""What a change costs on the miniature: nothing changed, a row changed, a language added, against a full run.

    python bench/bench_incremental.py

The full run has eight languages; the ninth is added last. Each step is a run of Snakemake to the report.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml
from common import DEMO, ROOT, Cost, note, options, snakemake, table, workplace

PARTS = ("sources", "wmt24pp", "aya")


def answered(results: Path) -> tuple[int, int]:
    """Requests answered by engines so far, and engine starts."""
    costs = [json.loads(path.read_text()) for path in results.glob("completions/*/*.cost.json")]
    return sum(cost["answered"] for cost in costs), sum(cost["engine_starts"] for cost in costs)


def trainings(results: Path) -> int:
    return len(list(results.glob("trained/*/policy.json")))


def main() -> None:
    arguments = options(__doc__)
    rows: list[list[str]] = []
    with workplace("incremental") as folder:
        for part in PARTS:
            shutil.copytree(DEMO / part, folder / "data" / part)
        text = (ROOT / "config/demo.yaml").read_text(encoding="utf-8")
        for part in PARTS:
            text = text.replace(f"resources/demo/{part}/", f"data/{part}/")
        settings = yaml.safe_load(text)
        every = settings["languages"]
        target = ["report"]
        if arguments.smoke:
            target = ["results/requests/translate/pairs/prompt/strong-beam/de.parquet"]

        def run(step: str, languages: list[str]) -> None:
            path = folder / "config.yaml"
            path.write_text(yaml.safe_dump({**settings, "languages": languages}, allow_unicode=True), encoding="utf-8")
            before, policies = answered(folder / "results"), trainings(folder / "results")
            cost: Cost = snakemake(folder, "--quiet", "all", "--", *target, config=path)
            asked, starts = (a - b for a, b in zip(answered(folder / "results"), before, strict=True))
            trained = trainings(folder / "results") - policies
            note(f"{step}: {cost.wall:.0f} s wall, {cost.processor:.0f} s processor, {asked} rows")
            full = rows[0] if rows else None
            share = "" if full is None else f"{cost.processor / float(full[2].replace(',', '')):.3f}"
            figures = [f"{cost.wall:,.0f}", f"{cost.processor:,.0f}", share, f"{asked:,}", str(starts), str(trained)]
            rows.append([step, *figures])

        run("full run, eight languages", every[:-1])
        run("nothing changed", every[:-1])
        source = folder / "data/sources/gutenberg.jsonl"
        lines = source.read_text(encoding="utf-8").splitlines()
        first = json.loads(lines[0])
        lines[0] = json.dumps(first | {"chosen": first["rejected"] + " who sees the river?"})
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        run(f"one row of a source changed (1 of {settings['sampling']['items']} pairs)", every[:-1])
        run("a language added", every)
    print(
        "The miniature to its report, from the command to its end; rows are requests that an engine answered. A policy"
    )
    print("is trained again where its data set changed, with all that follows: its answers and the verdicts on them.\n")
    print(table(["run", "wall s", "processor s", "share of full", "rows asked", "engine starts", "trainings"], rows))


if __name__ == "__main__":
    main()
