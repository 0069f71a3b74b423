"""Print an estimate of requests, tokens, GPU hours, disk space and dollars for each batch and for training."""

from pathlib import Path

from polypref.config.loading import load_config, read_languages
from polypref.plan.needs import training_bytes
from polypref.plan.plan import Plan
from polypref.preflight import sizes
from polypref.preflight.actual_cost import measured_costs, measured_training
from polypref.preflight.card_sizes import card_table
from polypref.preflight.estimating import (
    disk_gb,
    estimate_batches,
    estimate_training,
    longest_requests,
    table,
)
from polypref.running.logs import job

if __name__ == "__main__":
    with job("estimate", snakemake.log[0]) as terminal:
        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        results = Path(plan.config.results)
        rows = estimate_batches(plan, results, measured_costs(results))
        peak = (training_bytes(plan) or 0) / 1e9
        terminal.report(
            "\n" + table(rows, estimate_training(plan, measured_training(plan, results)), disk_gb(plan), peak)
        )
        longest = longest_requests(plan, results)
        for shown in (sizes.table(plan, longest), card_table(plan, longest)):
            if shown:
                terminal.report("\n" + shown)
