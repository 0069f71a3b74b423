"""Build the report: one self-contained page from the tables, the figures and the data of a run."""

from pathlib import Path

from polypref import schemas
from polypref.logs import job
from polypref.report.report import Results, Settings, render
from polypref.result_tables import read_csv, read_frame
from polypref.tables import atomic_write

TABLES = ("win_rates", "win_rates_by_language", "improvement_by_language", "position_bias", "translation_scores",
          "estimates", "self_agreement", "length_bias", "wrong_languages", "translation_comparisons",
          "judge_agreement", "funnel", "dataset_counts", "cost", "estimate")  # fmt: skip
FIGURES = ("win_rates", "improvement", "bleu", "chrf", "training")

if __name__ == "__main__":
    with job("report", snakemake.log[0]):
        files, params = snakemake.input, snakemake.params
        results = Results(
            tables={name: read_csv(files[name]) for name in TABLES if files.get(name)},
            figures={name: Path(files[f"{name}_svg"]).read_text(encoding="utf-8") for name in FIGURES},
            pairs=read_frame(files.pairs, schemas.PAIRS),
            datasets={Path(path).stem: read_frame(path, schemas.DATASET) for path in files.datasets},
            training_logs={Path(path).parent.name: read_csv(path) for path in files.training_logs},
            paper={Path(path).stem: read_csv(path) for path in files.get("paper", [])},
        )
        settings = Settings(
            title=params.title, subtitle=params.subtitle, languages=params.languages, sample_items=params.sample_items,
            mode=params.mode, config=params.config, command=params.command,
        )  # fmt: skip
        with atomic_write(snakemake.output[0], "w") as page:
            page.write(render(results, settings))
