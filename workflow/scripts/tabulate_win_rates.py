"""Compute the tables of the evaluation from the verdicts.

Reads the verdicts of all policies and languages, and the answers of policies and opponents, whose paths are
``.../{model}/{language}.parquet``. Writes win rates per policy and opponent, and per language; all levels with their
averages (``estimates``); the paired difference from the base per opponent and language; and biases of the judge:
position bias, agreement with itself, and length bias per policy and opponent. Also writes the share of answers in the
wrong language per model and language, and lists the faulty answers.

With several training seeds, the policies of an architecture count as one in the win rates and differences, ``seeds``
has the results of each seed, and the other tables have a row for each seed.
"""

from polypref.evaluation.agreement import self_agreement
from polypref.evaluation.answers import examine_answers, read_lengths
from polypref.evaluation.biases import add_lengths, length_bias, wrong_languages
from polypref.evaluation.estimates import estimate_rates, language_rows, pooled_rows
from polypref.evaluation.improvement import paired_differences, tabulate_improvement
from polypref.evaluation.seed_rates import tabulate_seeds, widen_rates
from polypref.evaluation.trained import Trained
from polypref.evaluation.win_rates import COUNTED, judgements, position_bias
from polypref.files import schemas
from polypref.files.result_tables import read_categories, write_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("win rates", snakemake.log[0]):
        params, tables = snakemake.params, snakemake.output
        verdicts = read_categories(snakemake.input.verdicts, schemas.VERDICTS, COUNTED)
        judged = judgements(verdicts, params.mode, params.runs, params.seed)
        trained = Trained(params.trained)
        pooled = trained.pooled(judged)
        estimates = estimate_rates(pooled, seed=params.seed)
        if trained.several:
            estimates = widen_rates(estimates, pooled)
        write_csv(estimates, tables.estimates)
        write_csv(pooled_rows(estimates), tables.win_rates)
        write_csv(language_rows(estimates), tables.win_rates_by_language)
        write_csv(position_bias(trained.labelled(verdicts)), tables.position_bias)
        write_csv(self_agreement(trained.labelled(judged)), tables.self_agreement)
        paired = paired_differences(judged, params.base)
        improvement = tabulate_improvement(trained.pooled(paired), params.languages, seed=params.seed)
        write_csv(improvement, tables.improvement_by_language)
        if trained.several:
            seeds = tabulate_seeds(judged, paired, estimates, improvement, trained, params.languages, seed=params.seed)
            write_csv(seeds, tables.seeds)
        del verdicts, pooled, paired
        lengths = read_lengths(snakemake.input.answers)
        write_csv(length_bias(trained.labelled(add_lengths(judged, lengths))), tables.length_bias)
        del judged  # before lingua loads its models
        answers, faults = examine_answers(snakemake.input.answers, params.languages)
        answers = trained.labelled(answers, "name")
        write_csv(wrong_languages(answers, answers["detected"]), tables.wrong_languages)
        write_csv(trained.labelled(faults, "name"), tables.answer_flags)
