"""Measure the cost of a change (none, one row, one more language) relative to a full run of a small experiment.

    python bench/bench_incremental.py           one architecture, two languages and then a third
    python bench/bench_incremental.py --whole 1 the miniature, eight languages and then the ninth (takes an hour)

Each step runs Snakemake up to the report. With ``--smoke`` the steps are dry runs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from common import DEMO, ROOT, Cost, note, options, snakemake, table, temporary_folder

PARTS = ("sources", "wmt24pp", "aya")
CHANGED = "data/sources/gutenberg.jsonl"


def write_data(folder: Path) -> None:
    """Copy the miniature's data, which this benchmark edits."""
    for part in PARTS:
        shutil.copytree(DEMO / part, folder / "data" / part)


def experiment(whole: bool) -> dict[str, Any]:
    """Return the miniature's configuration for the copied data, or a part of it that runs in minutes."""
    text = (ROOT / "config/demo.yaml").read_text(encoding="utf-8")
    for part in PARTS:
        text = text.replace(f"resources/demo/{part}/", f"data/{part}/")
    settings = yaml.safe_load(text)
    if whole:
        return settings
    return settings | {
        "languages": ["en", "de", "nl"],
        "architectures": {"A": {field: {"translate": "strong"} for field in ("prompt", "chosen", "rejected")}},
        "wmt": settings["wmt"] | {"translators": ["strong"]},
        "evaluation": settings["evaluation"] | {"opponents": ["weak"]},
    }


def change_a_row(folder: Path) -> None:
    """Edit the chosen response in a sampled row of a source; in the first row if nothing has been sampled yet."""
    source, pairs = folder / CHANGED, folder / "results/pairs.parquet"
    sampled = pq.read_table(pairs, columns=["source", "row"]).to_pylist() if pairs.exists() else []
    number = min((pair["row"] for pair in sampled if pair["source"] == source.stem), default=1)
    lines = source.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[number - 1])
    lines[number - 1] = json.dumps(row | {"chosen": row["rejected"] + " who sees the river?"})
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")


def answered(results: Path) -> tuple[int, int]:
    """Return the number of requests that engines have answered so far, and the number of engine starts."""
    costs = [json.loads(path.read_text()) for path in results.glob("completions/*/*.cost.json")]
    return sum(cost["answered"] for cost in costs), sum(cost["engine_starts"] for cost in costs)


def trainings(results: Path) -> int:
    """Return the number of policies that have been trained so far."""
    return len(list(results.glob("trained/*/policy.json")))


def main() -> None:
    arguments = options(__doc__, whole=0)
    rows: list[list[str]] = []
    with temporary_folder("incremental") as folder:
        write_data(folder)
        settings = experiment(bool(arguments.whole))
        languages = settings["languages"]
        target = ["--dry-run"] if arguments.smoke else ["--", "report"]

        def run(step: str, codes: list[str]) -> None:
            path = folder / "config.yaml"
            path.write_text(yaml.safe_dump({**settings, "languages": codes}, allow_unicode=True), encoding="utf-8")
            before, policies = answered(folder / "results"), trainings(folder / "results")
            cost: Cost = snakemake(folder, "--quiet", "all", *target, config=path)
            requests, starts = (a - b for a, b in zip(answered(folder / "results"), before, strict=True))
            trained = trainings(folder / "results") - policies
            note(f"{step}: {cost.wall:.0f} s wall, {cost.processor:.0f} s processor, {requests} requests")
            full = rows[0] if rows else None
            share = "" if full is None else f"{cost.processor / float(full[2].replace(',', '')):.3f}"
            figures = [f"{cost.wall:,.0f}", f"{cost.processor:,.0f}", share, f"{requests:,}", str(starts), str(trained)]
            rows.append([step, *figures])

        run(f"full run, {len(languages) - 1} languages", languages[:-1])
        run("nothing changed", languages[:-1])
        change_a_row(folder)
        run(f"one row of a source changed (1 of {settings['sampling']['items']} pairs)", languages[:-1])
        run("a language added", languages)
    what = "The miniature" if arguments.whole else "The miniature with one architecture, translator and opponent"
    print(f"{what}, run up to the report; times are those of the whole")
    print(
        "command. If a data set changes, its policy is trained again, and the policy's answers and their verdicts are"
    )
    print("requested again.\n")
    print(table(["run", "wall s", "processor s", "share of full", "requests sent", "engine starts", "trainings"], rows))


if __name__ == "__main__":
    main()
