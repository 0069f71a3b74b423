"""Build the report: pages with the tables and figures of a run, and files with its texts and verdicts in pieces."""

import json
from pathlib import Path

import pandas as pd

from polypref.evaluation.trained import Trained
from polypref.files import schemas
from polypref.files.result_tables import read_all, read_csv, read_frame
from polypref.files.tables import read_table
from polypref.report.pages import FIGURES, KINDS
from polypref.report.preference_pieces import COLUMNS
from polypref.report.report import Results, Settings, write_report
from polypref.running.logs import job

TABLES = ("win_rates", "win_rates_by_language", "improvement_by_language", "position_bias", "translation_scores",
          "estimates", "self_agreement", "length_bias", "wrong_languages", "answer_flags", "translation_comparisons",
          "judge_agreement", "seeds", "health", "funnel", "dataset_counts", "diagnostics", "cost",
          "estimate")  # fmt: skip


def read_text(path: str) -> str:
    """Return the text of a file."""
    return Path(path).read_text(encoding="utf-8")


def by_architecture(paths, schema, suffix: str = "") -> dict[str, pd.DataFrame]:
    """Read data frames by architecture, which is the name of the file."""
    return {Path(path).stem.removesuffix(suffix): read_frame(path, schema) for path in paths}


def native_prompts(paths) -> pd.DataFrame:
    """Read the native prompts of files whose names are language codes."""
    return pd.concat([read_frame(path, schemas.PAIRS).assign(language=Path(path).stem) for path in paths])


if __name__ == "__main__":
    with job("report", snakemake.log[0]):
        files, params = snakemake.input, snakemake.params
        names = list(dict.fromkeys(Path(path).parent.name for path in files.answers))
        trained = Trained(params.trained)
        results = Results(
            tables={name: read_csv(files[name]) for name in TABLES if files.get(name)},
            figures={name: read_text(files[f"{name}_svg"]) for name in (*FIGURES, "rules")},
            captions={Path(path).stem: read_text(path).strip() for path in files.captions},
            figure_files=[files[f"{name}_{kind}"] for name in FIGURES for kind in KINDS],
            training_logs={trained.label(Path(path).parent.name): read_csv(path) for path in files.training_logs},
            policies={trained.label(Path(path).parent.name): json.loads(read_text(path)) for path in files.policies},
            paper={Path(path).stem: read_csv(path) for path in files.get("paper", [])},
            pairs=read_frame(files.pairs, schemas.PAIRS),
            native=native_prompts(files.native) if files.get("native") else None,
            datasets={
                Path(path).stem: read_table(path, schemas.DATASET, COLUMNS).to_pandas() for path in files.datasets
            },
            dropped=by_architecture(files.dropped, schemas.DROPPED, ".dropped"),
            diagnostics=by_architecture(files.pair_diagnostics, schemas.DIAGNOSTICS),
            prompts=read_all(files.prompts, schemas.PROMPTS),
            answers={
                trained.label(name): read_all(
                    [path for path in files.answers if Path(path).parent.name == name], schemas.TEXTS
                )
                for name in names
            },
            verdicts=trained.labelled(read_all(files.verdicts, schemas.VERDICTS)),
            sanity=read_frame(files.sanity, schemas.VERDICTS),
        )
        settings = Settings(
            title=params.title, subtitle=params.subtitle, languages=params.languages, mode=params.mode,
            config=params.config, command=params.command,
        )  # fmt: skip
        write_report(results, settings, Path(snakemake.output[0]).parent)
