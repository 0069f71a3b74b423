"""Compare a training by the workflow's rule with OpenRLHF's command on the same file.

    python bench/bench_training.py

The rule checks lengths, selects the rows, computes the digest of the training, runs that command, writes a log and
moves the model to its place. OpenRLHF 0.11 packs samples only with flash attention, which needs a GPU, and can't
precompute reference log-probabilities for DPO, so neither is measured here.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml
from common import (
    DEMO,
    ROOT,
    SCRIPTS,
    Cost,
    interleaved,
    note,
    options,
    ratios,
    run_process,
    spread,
    table,
    temporary_folder,
)
from synthetic_requests import sentences

from polypref.config.training import Training
from polypref.files.schemas import DATASET
from polypref.files.table_writer import write_table
from polypref.requests.checkpoints import content_revision
from polypref.training import trainer

PAIRS = 2_048


def write_dataset(path: Path, pairs: int) -> None:
    """Write preference pairs of random texts in the workflow's schema."""
    texts = sentences(3 * pairs)
    rows = []
    for number in range(pairs):
        prompt, chosen, rejected = texts[3 * number : 3 * number + 3]
        turn = {"role": "user", "content": prompt}
        messages = {name: [turn, {"role": "assistant", "content": text}]
                for name, text in (("chosen_messages", chosen), ("rejected_messages", rejected))}  # fmt: skip
        row = {"item_id": f"{number:06d}", "language": "en", "prompt_messages": [turn], **messages}
        rows.append(dict.fromkeys(DATASET.names, "") | row)
    write_table(path, rows, DATASET)


def training_section() -> dict[str, Any]:
    """Return the miniature's settings of training, without intermediate checkpoints."""
    section = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))["training"]
    section["runtime"] |= {"save_steps": 1_000_000}
    return section


def direct_command(settings: Training, base: Path) -> list[str]:
    """Return OpenRLHF's command for ``data.parquet`` in the working directory."""
    return trainer.command(
        settings, model=str(base), data="data.parquet", output="model", checkpoints="checkpoints", port=29_517,
        visible_gpus=None, chat_template=None,
    )  # fmt: skip


def table_rows(costs: dict[str, list[Cost]], trainer_s: list[float]) -> list[list[str]]:
    """Return the fastest seconds of rule and direct command, and their ratios in each repeat."""
    inside = {"rule": [Cost(seconds, 0, 0) for seconds in trainer_s], "own": costs["own"]}
    rows = []
    for what, some, clock in (("trainer only, wall", inside, "wall"), ("whole job, wall", costs, "wall"),
                              ("whole job, processor", costs, "processor")):  # fmt: skip
        best = [f"{min(getattr(cost, clock) for cost in some[who]):.1f}" for who in ("rule", "own")]
        rows.append([what, *best, *spread(ratios(some, "own", "rule", clock))])
    return rows


def main() -> None:
    arguments = options(__doc__)
    pairs, repeats = (64, 1) if arguments.smoke else (PAIRS, arguments.repeats)
    section = training_section()
    settings, base = Training(**section), DEMO / "models/base"
    numbers = itertools.count()
    trainer_s: list[float] = []
    with temporary_folder("training") as folder:
        dataset = folder / "A.parquet"
        write_dataset(dataset, pairs)
        identity = folder / "base.json"
        identity.write_text(json.dumps({"path": str(base), "revision": content_revision(base)}), encoding="utf-8")
        data = folder / "data.parquet"  # the rows that the rule passes to the trainer

        def rule() -> Cost:
            results = folder / f"results{next(numbers)}"
            outputs = {n: str(results / "policies/A" / f) for n, f in
                    (("policy", "policy.json"), ("log", "log.csv"), ("overlong", "overlong.csv"))}  # fmt: skip
            params = {"base": {"path": str(base), "revision": None}, "training": {"max_length": settings.max_length}}
            job = {"input": {"dataset": str(dataset), "checkpoint": [str(identity)]}, "output": outputs,
                   "params": params, "wildcards": {"policy": "A"}, "config": {"training": section}}  # fmt: skip
            (folder / "job.json").write_text(json.dumps({**job, "log": str(folder / "log.txt")}), encoding="utf-8")
            runner = str(Path(__file__).parent / "as_snakemake.py")
            cost = run_process(
                [sys.executable, runner, str(SCRIPTS / "train_policy.py"), str(folder / "job.json")], folder
            )
            (trained,) = (results / "trained").iterdir()
            shutil.copy(trained / "data.parquet", data)
            trainer_s.append(json.loads((trained / "run.json").read_text())["seconds"])
            note(f"trainer only: {trainer_s[-1]} s")
            return cost

        def run_directly() -> Cost:
            place = folder / f"own{next(numbers)}"
            place.mkdir()
            shutil.copy(data, place / "data.parquet")
            env = trainer.environment({}, place / "cache", settings.runtime.threads)
            return run_process(direct_command(settings, base), place, env)

        costs = interleaved(repeats, warm_up=not arguments.smoke, rule=rule, own=run_directly)
    rows = table_rows(costs, trainer_s[-repeats:])
    print(f"{pairs:,} pairs, one epoch, the miniature's base model and settings. Start and saving are included on both")
    print(
        "sides. The first line compares the trainer's process in the rule with the same command without the rule; the"
    )
    print("ratio should be near 1.0. The other lines are the whole job. Its other steps, mainly importing transformers")
    print("and counting tokens, take a few seconds, which matter less in a longer training. Packing is not measured")
    print("(OpenRLHF 0.11 packs only with flash attention, which needs a GPU), nor are precomputed reference")
    print("log-probabilities (OpenRLHF has none for DPO).\n")
    header = ["measured", "rule s", "direct command s", "direct command / rule: median", "min", "max"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
