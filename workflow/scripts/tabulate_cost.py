"""Gather the cost of all batches into one table with a total."""

from polypref.files.result_tables import write_csv
from polypref.preflight.cost import read_cost, tabulate_cost
from polypref.running.logs import job

if __name__ == "__main__":
    with job("cost", snakemake.log[0]):
        write_csv(tabulate_cost([read_cost(path) for path in snakemake.input.costs]), snakemake.output[0])
