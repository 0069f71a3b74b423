"""Gather the cost of all batches into one table with a total."""

from polypref.cost import read_cost, tabulate_cost
from polypref.logs import job
from polypref.result_tables import write_csv

if __name__ == "__main__":
    with job("cost", snakemake.log[0]):
        write_csv(tabulate_cost([read_cost(path) for path in snakemake.input.costs]), snakemake.output[0])
