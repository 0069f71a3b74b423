"""Pairs per second of a training through the workflow's rule, against OpenRLHF's own command on the same file.

    python bench/bench_training.py

The rule checks lengths, chooses the rows, names the training by its content, runs that command, keeps a log and puts
the model in place. OpenRLHF 0.11 packs samples only with flash attention, which needs a GPU, and has no precomputed
reference log-probabilities for DPO, so neither is measured here.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml
from common import DEMO, ROOT, SCRIPTS, Cost, interleaved, note, options, ratios, run_process, spread, table, workplace
from requests_made import sentences

from polypref.config.sections import Training
from polypref.files.schemas import DATASET
from polypref.files.tables import write_table
from polypref.requests.checkpoints import content_revision
from polypref.training import trainer

PAIRS = 2_048


def write_dataset(path: Path, pairs: int) -> None:
    """Preference pairs of made-up texts, in the workflow's schema."""
    texts = sentences(3 * pairs)
    rows = []
    for number in range(pairs):
        prompt, chosen, rejected = texts[3 * number : 3 * number + 3]
        turn = {"role": "user", "content": prompt}
        said = {name: [turn, {"role": "assistant", "content": text}]
                for name, text in (("chosen_messages", chosen), ("rejected_messages", rejected))}  # fmt: skip
        row = {"item_id": f"{number:06d}", "language": "en", "prompt_messages": [turn], **said}
        rows.append(dict.fromkeys(DATASET.names, "") | row)
    write_table(path, rows, DATASET)


def training_section() -> dict[str, Any]:
    """The miniature's settings, without checkpoints on the way."""
    section = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))["training"]
    section["runtime"] |= {"save_steps": 1_000_000}
    return section


def own_command(settings: Training, base: Path) -> list[str]:
    """OpenRLHF's command on ``data.parquet`` in the folder where it runs."""
    return trainer.command(
        settings, model=str(base), data="data.parquet", output="model", checkpoints="checkpoints", port=29_517,
        visible_gpus=None, chat_template=None,
    )  # fmt: skip


def table_rows(costs: dict[str, list[Cost]], trainer_s: list[float]) -> list[list[str]]:
    """Best turns' seconds of rule and own command, and their ratios turn by turn."""
    inside = {"rule": [Cost(seconds, 0, 0) for seconds in trainer_s], "own": costs["own"]}
    rows = []
    for what, some, clock in (("the trainer, wall", inside, "wall"), ("the whole job, wall", costs, "wall"),
                              ("the whole job, processor", costs, "processor")):  # fmt: skip
        best = [f"{min(getattr(cost, clock) for cost in some[who]):.1f}" for who in ("rule", "own")]
        rows.append([what, *best, *spread(ratios(some, "own", "rule", clock))])
    return rows


def main() -> None:
    arguments = options(__doc__)
    pairs, repeats = (64, 1) if arguments.smoke else (PAIRS, arguments.repeats)
    section = training_section()
    settings, base = Training(**section), DEMO / "models/base"
    turns = itertools.count()
    trainer_s: list[float] = []
    with workplace("training") as folder:
        dataset = folder / "A.parquet"
        write_dataset(dataset, pairs)
        identity = folder / "base.json"
        identity.write_text(json.dumps({"path": str(base), "revision": content_revision(base)}), encoding="utf-8")
        data = folder / "data.parquet"  # what the rule gave to the trainer

        def rule() -> Cost:
            results = folder / f"results{next(turns)}"
            made = {n: str(results / "policies/A" / f) for n, f in
                    (("policy", "policy.json"), ("log", "log.csv"), ("overlong", "overlong.csv"))}  # fmt: skip
            params = {"base": {"path": str(base), "revision": None}, "training": {"max_length": settings.max_length}}
            job = {"input": {"dataset": str(dataset), "checkpoint": [str(identity)]}, "output": made, "params": params,
                   "wildcards": {"architecture": "A"}, "config": {"training": section}}  # fmt: skip
            (folder / "job.json").write_text(json.dumps({**job, "log": str(folder / "log.txt")}), encoding="utf-8")
            runner = str(Path(__file__).parent / "as_snakemake.py")
            cost = run_process([sys.executable, runner, str(SCRIPTS / "train.py"), str(folder / "job.json")], folder)
            (trained,) = (results / "trained").iterdir()
            shutil.copy(trained / "data.parquet", data)
            trainer_s.append(json.loads((trained / "run.json").read_text())["seconds"])
            note(f"the trainer itself: {trainer_s[-1]} s")
            return cost

        def own() -> Cost:
            there = folder / f"own{next(turns)}"
            there.mkdir()
            shutil.copy(data, there / "data.parquet")
            env = trainer.environment({}, there / "cache", settings.runtime.threads)
            return run_process(own_command(settings, base), there, env)

        costs = interleaved(repeats, warm_up=not arguments.smoke, rule=rule, own=own)
    rows = []
    rows = table_rows(costs, trainer_s[-repeats:])
    print(f"{pairs:,} pairs, one epoch, the miniature's base model and settings. Start and saving count on both sides.")
    print(
        "The first line is the trainer's process in the rule against the same command alone, which should be near 1.0."
    )
    print("The others are the whole job. What the rule does beside the trainer, mostly importing transformers and")
    print(
        "counting tokens, takes seconds, which weigh less the longer a training is. Packing of samples is not measured"
    )
    print("(OpenRLHF 0.11 packs with flash attention only, which needs a GPU), nor are precomputed reference")
    print("log-probabilities (it has none for DPO).\n")
    header = ["what", "rule s", "own command s", "own command / rule: median", "min", "max"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
