"""Turn verdicts into the tables of the evaluation.

Reads the verdicts of all policies and languages. Writes win rates per policy and opponent, the same per language,
position bias, and the paired difference to the base per opponent and language.
"""

from polypref import schemas
from polypref.logs import job
from polypref.result_tables import read_all, write_csv
from polypref.win_rates import judgements, paired_differences, position_bias, tabulate_improvement, tabulate_rates

if __name__ == "__main__":
    with job("win rates", snakemake.log[0]):
        params = snakemake.params
        verdicts = read_all(snakemake.input.verdicts, schemas.VERDICTS)
        judged = judgements(verdicts, params.mode, params.runs, params.seed)
        write_csv(tabulate_rates(judged, ["policy", "opponent"]), snakemake.output.win_rates)
        write_csv(tabulate_rates(judged, ["policy", "opponent", "language"]), snakemake.output.win_rates_by_language)
        write_csv(position_bias(verdicts), snakemake.output.position_bias)
        paired = paired_differences(judged, params.base)
        write_csv(tabulate_improvement(paired, params.languages), snakemake.output.improvement_by_language)
