"""Tabulate how far two judges agree, over all, per language and per policy, from their verdicts alone."""

from polypref import schemas
from polypref.agreement import judge_agreement
from polypref.logs import job
from polypref.result_tables import read_all, write_csv

if __name__ == "__main__":
    with job("agreement of the judges", snakemake.log[0]):
        first, second = (read_all(snakemake.input[name], schemas.VERDICTS) for name in ("first", "second"))
        table = judge_agreement(first, second, snakemake.params.languages, seed=snakemake.params.seed)
        write_csv(table, snakemake.output[0])
