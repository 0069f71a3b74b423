"""Tabulate the cost of all batches with a total, and compare it with the estimate for each batch."""

from pathlib import Path

import pandas as pd

from polypref.config.loading import load_config, read_languages
from polypref.files.result_tables import write_csv
from polypref.plan.plan import Plan
from polypref.preflight.actual_cost import compared, measured_training
from polypref.preflight.cost import read_cost, tabulate_cost
from polypref.running.logs import job

if __name__ == "__main__":
    with job("cost", snakemake.log[0]):
        costs = [read_cost(path) for path in snakemake.input.costs]
        write_csv(tabulate_cost(costs), snakemake.output.cost)
        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        trained = measured_training(plan, Path(plan.config.results), snakemake.input.policies)
        rows = compared(plan, {(cost["task"], cost["checkpoint"]): cost for cost in costs}, trained)
        write_csv(pd.DataFrame(rows), snakemake.output.estimate)
