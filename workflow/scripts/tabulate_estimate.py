"""Make ``tables/estimate.csv``: what each batch was estimated to take before the run, and what it took."""

from pathlib import Path

import pandas as pd

from polypref.config_checks import load_config, read_languages
from polypref.estimating import compared, measured_costs
from polypref.logs import job
from polypref.plan import Plan
from polypref.result_tables import write_csv

if __name__ == "__main__":
    with job("estimate and actual", snakemake.log[0]):
        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        costs = measured_costs(Path(plan.config.results))
        write_csv(pd.DataFrame(compared(plan, costs)), snakemake.output[0])
