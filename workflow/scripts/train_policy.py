"""Train a policy on its architecture's data set with DPO, or reuse a finished training with the same inputs.

Writes ``policies/{policy}/policy.json``, ``log.csv`` and ``overlong.csv``; the model itself and its resumable
checkpoints are in ``trained/{digest}/``.
"""

import json
from pathlib import Path

from polypref.config.loading import load_config
from polypref.config.training import Training
from polypref.running.fork_server import is_fork
from polypref.running.logs import job
from polypref.running.spare_fork import SpareFork
from polypref.training.trainer import start_process
from polypref.training.training import publish, train

if __name__ == "__main__":
    # In a fork of a server, which has imported what the trainer imports; before this process starts threads.
    start = SpareFork().start if is_fork() else start_process
    given, made = snakemake.input, snakemake.output
    with job(f"train {snakemake.wildcards.policy}", snakemake.log[0]) as terminal:
        root = Path(__file__).resolve().parents[2]
        local = given.get("checkpoint")
        base = json.loads(Path(local[0] if isinstance(local, list) else local).read_text()) if local else {}
        settings = Training(**{**snakemake.config["training"], **snakemake.params.training})
        folder = train(
            settings, Path(given.dataset), {**snakemake.params.base, **base},
            results=Path(load_config(snakemake.config, root).results), say=terminal.report, start=start,
        )  # fmt: skip
        publish(folder, Path(made.policy), Path(made.log), Path(made.overlong))
