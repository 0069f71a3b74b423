"""Write ``completions/{task}/{checkpoint}.parquet``: start the engine once and complete the missing requests."""

import os
from pathlib import Path

from polypref.config.loading import load_config
from polypref.plan.plan import Plan
from polypref.requests.complete import complete, write_cost
from polypref.running.logs import job
from polypref.running.runs import cost_so_far

if __name__ == "__main__":
    task, name = snakemake.wildcards.task, snakemake.wildcards.checkpoint
    with job(f"{task}/{name}", snakemake.log[0]) as terminal:
        os.environ.setdefault("OMP_NUM_THREADS", str(snakemake.threads))
        root = Path(__file__).resolve().parents[2]
        config = load_config(snakemake.config, root)
        checkpoint = config.checkpoints[Plan(config, {}).batch_checkpoint(task, name)]
        store = Path(config.results) / "store" / task / name
        output = Path(snakemake.output.completions)
        run = complete(list(snakemake.input.requests), store, checkpoint, output, terminal, name=f"{task}/{name}")
        write_cost(snakemake.output.cost, cost_so_far(store, task, name, checkpoint.engine, run))
        terminal.report(
            f"done: {run['answered']:,} answered, {run['reused']:,} from the row store, {run['errors']:,} errors, "
            f"{run['engine_starts']} engine starts"
        )
