"""Tabulate the agreement of two judges, computed from their verdicts: overall, per language and per policy."""

from polypref.evaluation.agreement import judge_agreement
from polypref.evaluation.trained import Trained
from polypref.evaluation.win_rates import COUNTED
from polypref.files import schemas
from polypref.files.result_tables import read_categories, write_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("agreement of the judges", snakemake.log[0]):
        trained = Trained(snakemake.params.trained)
        first, second = (
            trained.labelled(read_categories(snakemake.input[name], schemas.VERDICTS, COUNTED))
            for name in ("first", "second")
        )
        table = judge_agreement(first, second, snakemake.params.languages, seed=snakemake.params.seed)
        write_csv(table, snakemake.output[0])
