"""Tabulate what the judge may prefer beside the better answer.

Reads the verdicts and the answers of all policies and opponents in all languages. Writes length bias per policy and
opponent, and the share of answers in another language than asked for, per model and language. Files of answers are
named by their path: ``.../{model}/{language}.parquet``.
"""

from pathlib import Path

import pandas as pd

from polypref.evaluation.biases import add_lengths, length_bias, wrong_languages
from polypref.evaluation.win_rates import judgements
from polypref.files import schemas
from polypref.files.result_tables import read_all, read_frame, write_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("biases", snakemake.log[0]):
        params = snakemake.params
        frames = [
            read_frame(path, schemas.TEXTS).assign(name=Path(path).parent.name) for path in snakemake.input.answers
        ]
        answers = pd.concat(frames, ignore_index=True)
        verdicts = read_all(snakemake.input.verdicts, schemas.VERDICTS)
        judged = judgements(verdicts, params.mode, params.runs, params.seed)
        write_csv(length_bias(add_lengths(judged, answers)), snakemake.output.length_bias)
        write_csv(wrong_languages(answers, params.languages), snakemake.output.wrong_languages)
