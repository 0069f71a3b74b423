"""Build the report: pages with the tables and figures of a run, and files with its texts and verdicts in pieces."""

import json
from pathlib import Path

from polypref.evaluation.trained import Trained
from polypref.files import schemas
from polypref.files.result_tables import read_csv, read_frame
from polypref.report.pages import FIGURES, KINDS
from polypref.report.preference_files import Preferences
from polypref.report.report import Results, Settings, write_report
from polypref.report.verdict_files import Judgements
from polypref.running.logs import job

TABLES = ("win_rates", "win_rates_by_language", "improvement_by_language", "position_bias", "translation_scores",
          "estimates", "self_agreement", "length_bias", "wrong_languages", "answer_flags", "translation_comparisons",
          "judge_agreement", "seeds", "health", "ratings", "funnel", "dataset_counts", "diagnostics", "cost",
          "estimate")  # fmt: skip


def read_text(path: str) -> str:
    """Return the text of a file."""
    return Path(path).read_text(encoding="utf-8")


def by_stem(paths, suffix: str = "") -> dict[str, Path]:
    """Return paths by the names of the files: architectures or languages."""
    return {Path(path).stem.removesuffix(suffix): Path(path) for path in paths}


def by_folder(paths) -> dict[str, list[Path]]:
    """Group paths by the names of their folders: policies or opponents."""
    found = {}
    for path in map(Path, paths):
        found.setdefault(path.parent.name, []).append(path)
    return found


def preferences_of(files, params) -> Preferences:
    """Return the files of preference pairs."""
    return Preferences(
        pairs=Path(files.pairs),
        native=list(map(Path, files.get("native") or [])),
        datasets=by_stem(files.datasets),
        dropped=by_stem(files.dropped, ".dropped"),
        diagnostics=by_stem(files.pair_diagnostics),
        languages=list(params.languages),
        most=params.shown_pairs,
        rated=bool(files.get("ratings")),
    )


def judgements_of(files, params, trained: Trained) -> Judgements:
    """Return the files of prompts, answers and verdicts."""
    judged = [by_stem(paths) for paths in by_folder(files.verdicts).values()]
    return Judgements(
        prompts=by_stem(files.prompts),
        answers={trained.label(name): by_stem(paths) for name, paths in by_folder(files.answers).items()},
        verdicts={code: [paths[code] for paths in judged] for code in params.languages},
        most=params.shown_verdicts,
        trained=trained,
    )


if __name__ == "__main__":
    with job("report", snakemake.log[0]):
        files, params = snakemake.input, snakemake.params
        trained = Trained(params.trained)
        results = Results(
            tables={name: read_csv(files[name]) for name in TABLES if files.get(name)},
            figures={name: read_text(files[f"{name}_svg"]) for name in (*FIGURES, "rules")},
            captions={Path(path).stem: read_text(path).strip() for path in files.captions},
            figure_files=[files[f"{name}_{kind}"] for name in FIGURES for kind in KINDS],
            training_logs={trained.label(Path(path).parent.name): read_csv(path) for path in files.training_logs},
            policies={trained.label(Path(path).parent.name): json.loads(read_text(path)) for path in files.policies},
            paper={Path(path).stem: read_csv(path) for path in files.get("paper", [])},
            preferences=preferences_of(files, params),
            judgements=judgements_of(files, params, trained),
            sanity=read_frame(files.sanity, schemas.VERDICTS),
        )
        settings = Settings(
            title=params.title, subtitle=params.subtitle, languages=params.languages, mode=params.mode,
            config=params.config, command=params.command,
        )  # fmt: skip
        write_report(results, settings, Path(snakemake.output[0]).parent)
