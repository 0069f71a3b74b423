"""Check the validity of a run's results (``health.csv``), and list contaminated prompts (``contamination.csv``).

The judge's verdicts on its sanity set are collected here (``verdicts/sanity.parquet``), because only the checks need
them.

A contaminated training prompt matches an evaluation prompt. The base set has none unless ``sampling.contaminated`` is
``keep``, but a translation may still match. The paths of answer files are
``.../{model}/{language}.parquet``; the files of data sets and diagnostics are named after their architecture.
"""

from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd

from polypref.datasets.diagnostic_tables import DIAGNOSED, summarise
from polypref.datasets.texts import read_kept
from polypref.evaluation.improvement import paired_differences
from polypref.evaluation.trained import Trained
from polypref.evaluation.win_rates import COUNTED, check_values
from polypref.files import schemas
from polypref.files.result_tables import OnDemand, read_all, read_categories, read_csv, read_frame, write_csv
from polypref.files.table_writer import write_table
from polypref.files.tables import row_count
from polypref.health.checks import CHECKS, COLUMNS
from polypref.health.data import (
    answer_checks,
    contaminated,
    contamination_checks,
    data_checks,
    rating_checks,
    read_prompts,
)
from polypref.health.design import design_checks
from polypref.health.judge import judge_checks
from polypref.health.training import training_checks
from polypref.requests.collect import read_answered
from polypref.requests.judge import collect_verdicts
from polypref.running.logs import job

if __name__ == "__main__":
    with job("health checks", snakemake.log[0]):
        files, limits = snakemake.input, snakemake.params.limits
        trained = Trained(snakemake.params.trained)
        verdicts = read_categories(files.verdicts, schemas.VERDICTS, COUNTED)
        check_values(verdicts)
        prompts = read_all(files.prompts, schemas.PROMPTS)
        given = Counter()
        for path in files.answers:
            given[trained.label(Path(path).parent.name)] += row_count(path)
        datasets = {Path(path).stem: path for path in files.datasets}
        diagnostics = {}
        for path in files.diagnostics:
            kept = read_kept(path, datasets[Path(path).stem], DIAGNOSED[1:])
            diagnostics[Path(path).stem] = summarise(rows.to_pandas() for rows in kept)
        logs = {trained.label(Path(path).parent.name): read_csv(path) for path in files.training_logs}
        texts = OnDemand({name: partial(read_prompts, path) for name, path in datasets.items()})
        listed = contaminated(texts, prompts, list(dict.fromkeys(prompts["language"])))
        agreement = read_csv(files.judge_agreement) if files.get("judge_agreement") else None
        judged = [
            verdict
            for path in files.sanity
            for answered in read_answered(path, schemas.JUDGE_REQUESTS, files.completions)
            for verdict in collect_verdicts(*answered, files.completions, snakemake.params.parser)
        ]
        write_table(snakemake.output.sanity, judged, schemas.VERDICTS)
        sanity = read_frame(snakemake.output.sanity, schemas.VERDICTS)
        funnel = read_csv(files.funnel)
        wrong, flagged = read_csv(files.wrong_languages), read_csv(files.answer_flags)
        rows = [
            *judge_checks(verdicts, sanity, read_csv(files.length_bias), agreement, limits),
            *design_checks(read_csv(files.improvement), trained.pooled(paired_differences(verdicts, "base")), limits),
            *contamination_checks(listed, {n: row_count(path) for n, path in datasets.items()}, funnel, limits),
            *answer_checks(given, wrong, flagged, set(map(trained.label, verdicts["policy"].unique())), limits),
            *data_checks(diagnostics, funnel, limits),
            *(rating_checks(read_csv(files.ratings), limits) if files.get("ratings") else []),
            *training_checks(logs, limits, snakemake.params.training_loss),
        ]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        order = {name: number for number, name in enumerate(CHECKS)}
        table = table.sort_values("check", key=lambda names: names.map(order), kind="stable")
        write_csv(table, snakemake.output.health)
        write_csv(listed, snakemake.output.contamination)
