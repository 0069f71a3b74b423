"""Run the workflow's scripts on synthetic results up to the report, without Snakemake."""

import os
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import synthetic
import yaml

from polypref.config.health import Health
from polypref.config.sections import Report
from polypref.report.pages import FIGURES, KINDS

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow/scripts"
NAMES = {
    "en": "English", "ar": "Arabic", "de": "German", "es": "Spanish", "is": "Icelandic", "ja": "Japanese",
    "nl": "Dutch", "ru": "Russian", "zh": "Chinese",
}  # fmt: skip


class Named(dict):
    """Named files as in Snakemake: access by attribute, by name and by position; it iterates over all files."""

    __getattr__ = dict.__getitem__

    def __iter__(self):
        for value in self.values():
            yield from value if isinstance(value, list) else [value]

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


def run_script(name: str, **directives) -> None:
    """Run one of the workflow's scripts as Snakemake would."""
    named = {key: Named(value) if isinstance(value, dict) else value for key, value in directives.items()}
    log = [next(iter(directives["output"].values())).parent.parent / f"logs/{name}.log"]
    snakemake = SimpleNamespace(**{"params": Named(), "threads": 1, "log": log} | named)
    streams = {number: os.dup(number) for number in (1, 2)}  # a script redirects both to its log file
    try:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": snakemake}, run_name="__main__")
    finally:
        for number, saved in streams.items():
            os.dup2(saved, number)
            os.close(saved)


def make_report(folder: Path, trained: dict | None = None, rated: dict | None = None, drawn: bool = True) -> Path:
    """Build tables, figures and the report from the results below `folder`, and return the report's first page.

    ``trained`` names the architecture and label of the policies, if they were trained with several seeds. ``rated``
    names the fields of each architecture that have ratings, if the diagnostics have them. Unless all
    figures are ``drawn``, copies of the training curves take the place of the others, which takes half the time.
    """
    trained = trained or {}
    languages, tables, figures = synthetic.LANGUAGES, folder / "tables", folder / "figures"
    run_script(
        "score_translations",
        input={"segments": sorted(folder.glob("wmt/*.parquet")),
               "translations": sorted(folder.glob("translations/wmt/source/*/*.parquet"))},
        output={"scores": tables / "translation_scores.csv", "comparisons": tables / "translation_comparisons.csv"},
        params={"tokenizers": {code: synthetic.TOKENIZERS.get(code, "13a") for code in languages}, "comet": None},
    )  # fmt: skip
    rates = ("win_rates", "win_rates_by_language", "position_bias", "improvement_by_language", "estimates",
             "self_agreement")  # fmt: skip
    names = [*synthetic.POLICIES, *synthetic.OPPONENTS]
    run_script(
        "tabulate_win_rates",
        input={"verdicts": [folder / f"verdicts/{p}/{code}.parquet" for p in synthetic.POLICIES for code in languages],
               "answers": [folder / f"answers/{name}/{code}.parquet" for name in names for code in languages]},
        output={name: tables / f"{name}.csv"
                for name in (*rates, "length_bias", "wrong_languages", "answer_flags", "seeds")},
        params={"mode": "paper", "runs": 5, "seed": 1, "base": "base", "languages": languages, "trained": trained},
    )  # fmt: skip
    counted = ("sources", "datasets")
    rated = {"rated": rated, "threshold": 50} if rated else {}
    counts = ("funnel", "dataset_counts", "diagnostics", "lengths", *(["ratings"] if rated else []))
    native = sorted(set(folder.glob("native/*/*.parquet")) - set(folder.glob("native/*/*.dropped.parquet")))
    (folder / "settings.json").write_text("{}")  # no architecture uses the native prompts
    run_script(
        "tabulate_datasets",
        input={"pairs": folder / "pairs.parquet", "pairs_dropped": folder / "pairs.dropped.parquet"}
        | {
            kind: sorted(set(folder.glob(f"{kind}/*.parquet")) - set(folder.glob(f"{kind}/*.dropped.*")))
            for kind in counted
        }
        | {f"{kind}_dropped": sorted(folder.glob(f"{kind}/*.dropped.parquet")) for kind in counted}
        | {"native": native, "native_dropped": sorted(folder.glob("native/*/*.dropped.parquet"))}
        | {"settings": folder / "settings.json", "diagnostics": sorted(folder.glob("diagnostics/*.parquet"))},
        output={name: tables / f"{name}.csv" for name in counts},
        params={"languages": languages, **rated},
    )
    run_script(
        "tabulate_health",
        input={"verdicts": [folder / f"verdicts/{p}/{code}.parquet" for p in synthetic.POLICIES for code in languages],
               "sanity": sorted(folder.glob("requests/judge/sanity.parquet")),
               "completions": folder / "completions/judge/judge.parquet",
               "answers": [folder / f"answers/{name}/{code}.parquet" for name in names for code in languages],
               "prompts": [folder / f"prompts/{code}.parquet" for code in languages],
               "datasets": [folder / f"datasets/{name}.parquet" for name in "ABC"],
               "diagnostics": [folder / f"diagnostics/{name}.parquet" for name in "ABC"],
               "training_logs": [folder / f"policies/{name}/log.csv" for name in "ABC"],
               "length_bias": tables / "length_bias.csv", "wrong_languages": tables / "wrong_languages.csv",
               "answer_flags": tables / "answer_flags.csv",
               "improvement": tables / "improvement_by_language.csv", "funnel": tables / "funnel.csv",
               **({"ratings": tables / "ratings.csv"} if rated else {})},
        output={**{name: tables / f"{name}.csv" for name in ("health", "contamination")},
                "sanity": folder / "verdicts/sanity.parquet"},
        params={"parser": "label", "limits": Health().model_dump(exclude={"sanity_prompts"}), "trained": trained,
                "training_loss": "dpo"},
    )  # fmt: skip
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8")) | {"results": str(folder)}
    run_script("tabulate_cost", config=config,
               input={"costs": sorted(folder.glob("completions/*/*.cost.json")), "policies": []},
               output={name: tables / f"{name}.csv" for name in ("cost", "estimate")})  # fmt: skip
    plots = {f"{name}_{kind}": figures / f"{name}.{kind}" for name in FIGURES for kind in KINDS}
    style = {"style": ROOT / "resources/figures.mplstyle"}
    logs = [folder / f"policies/{name}/log.csv" for name in "ABC"]
    run_script("plot_training", input={"logs": logs} | style, output=plots,
               params=Named(trained=trained, batch_size=32, loss="dpo"))  # fmt: skip
    if drawn:
        for plot, files in {
            "plot_translation_heatmaps": {"scores": tables / "translation_scores.csv"},
            "plot_results": {name: tables / f"{name}.csv" for name in (*rates, "lengths", "diagnostics")},
        }.items():
            run_script(plot, input=files | style, output=plots, params={"languages": NAMES})
    else:
        for name in set(FIGURES) - {"training"}:
            for kind in KINDS:
                shutil.copy(plots[f"training_{kind}"], plots[f"{name}_{kind}"])
    costs = [{"task": "train", "checkpoint": name, "estimated_requests": 450, "requests": 416, "estimated_tokens": 9,
                "tokens": None, "estimated_hours": 2.0, "hours": 1.5, "estimated_usd": 0.0, "usd": 0.0,
                "gpu_hours": 12.0} for name in "ABC"]  # fmt: skip
    pd.DataFrame(costs).to_csv(tables / "estimate.csv", index=False)
    return write_report(folder, trained)


def write_report(folder: Path, trained: dict | None = None, name: str = "report", **params) -> Path:
    """Write the report from tables and figures that exist, and return its first page.

    ``name`` is the report's folder, and ``params`` are parameters of its rule.
    """
    job = report_job(folder, trained, name)
    run_script("build_report", **job | {"params": job["params"] | params})
    return job["output"]["page"]


def report_job(folder: Path, trained: dict | None = None, name: str = "report") -> dict[str, dict]:
    """Return input, output and params of the report's rule for the results below `folder`."""
    languages, tables, figures = synthetic.LANGUAGES, folder / "tables", folder / "figures"
    names = [*synthetic.POLICIES, *synthetic.OPPONENTS]
    plots = {f"{name}_{kind}": figures / f"{name}.{kind}" for name in FIGURES for kind in KINDS}
    return {
        "input": {path.stem: path for path in tables.glob("*.csv")} | plots | {
            "pairs": folder / "pairs.parquet",
            "rules_svg": ROOT / "docs/pictures/rulegraph.svg",
            "captions": sorted((ROOT / "docs/captions").glob("*.rst")),
            "datasets": [folder / f"datasets/{name}.parquet" for name in "ABC"],
            "dropped": [folder / f"datasets/{name}.dropped.parquet" for name in "ABC"],
            "pair_diagnostics": [folder / f"diagnostics/{name}.parquet" for name in "ABC"],
            "prompts": [folder / f"prompts/{code}.parquet" for code in languages],
            "answers": [folder / f"answers/{name}/{code}.parquet" for name in names for code in languages],
            "verdicts": [folder / f"verdicts/{p}/{code}.parquet" for p in synthetic.POLICIES for code in languages],
            "sanity": folder / "verdicts/sanity.parquet",
            "training_logs": [folder / f"policies/{name}/log.csv" for name in "ABC"],
            "policies": [folder / f"policies/{name}/policy.json" for name in "ABC"],
            "paper": sorted((ROOT / "resources/paper").glob("*.csv")),
        },
        "output": {"page": folder / name / "index.html"},
        "params": {
            "title": "Tea & <b>biscuits</b>", "subtitle": "A test", "mode": "paper", "trained": trained or {},
            "languages": {code: {"name": name, "endonym": name, "direction": "rtl" if code == "ar" else "ltr"}
                          for code, name in NAMES.items()},
            "config": {"title": "</pre><script>alert(4)</script>", "api_key": "sk-very-secret"}, "command": "snakemake",
            "shown_pairs": Report().shown_pairs, "shown_verdicts": Report().shown_verdicts,
        },
    }  # fmt: skip
