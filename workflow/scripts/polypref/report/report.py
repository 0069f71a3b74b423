"""Build the report: a folder of HTML pages that can be opened offline, without a server.

Each page embeds its own style sheet, script and figures; the reader and the verdict browser load their rows in pieces.
The Content-Security-Policy of a page allows only its own style sheet and script, identified by their digests, and the
files that this script loads. All text from models, data sets and the configuration is escaped.
"""

import base64
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from polypref.config.diagnostics import RATED_FLAGS
from polypref.datasets.counts import STAGES
from polypref.datasets.diagnostics import FLAGS
from polypref.files.tables import atomic_write
from polypref.report import layout, method, text
from polypref.report.headline import headline
from polypref.report.pages import FIGURES, KINDS, PAGES
from polypref.report.preference_files import Preferences
from polypref.report.preference_pieces import write_preferences
from polypref.report.svg import inline_svg
from polypref.report.verdict_files import Judgements
from polypref.report.verdict_pieces import write_verdicts

HERE = Path(__file__).parent
DATA, PICTURES = "data", "figures"
"""Folders next to the pages: the data pieces, and the downloadable files of each figure."""


@dataclass(frozen=True)
class Results:
    """Inputs of the report. ``tables`` are those of ``R/tables/``; ``figures`` hold the text of the SVG files.

    ``tables`` has the keys win_rates, win_rates_by_language, improvement_by_language, position_bias,
    translation_scores, estimates, self_agreement, length_bias, wrong_languages, answer_flags,
    translation_comparisons, funnel, dataset_counts, diagnostics, cost, and optionally estimate, judge_agreement,
    seeds and ratings. ``paper`` has the keys win_rates, bleu and chrf, or is empty. ``figures`` has the keys of
    :data:`polypref.report.pages.FIGURES` and rules; ``captions`` has the same keys. ``figure_files`` lists the files
    of the figures, named ``{figure}.{kind}``.
    ``policies`` (contents of ``policy.json``) are keyed by architecture. ``sanity`` has the schema VERDICTS. Pairs,
    answers and verdicts are read from their files when they are written.
    """

    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, str]
    captions: Mapping[str, str]
    figure_files: Sequence[str | Path]
    training_logs: Mapping[str, pd.DataFrame]
    policies: Mapping[str, Mapping[str, Any]]
    paper: Mapping[str, pd.DataFrame]
    preferences: Preferences
    judgements: Judgements
    sanity: pd.DataFrame


@dataclass(frozen=True)
class Settings:
    """Settings of the report.

    ``languages`` maps a code to {name, endonym, direction}; ``config`` is the complete configuration as a dict.
    """

    title: str
    subtitle: str
    languages: Mapping[str, Mapping[str, str]]
    mode: str
    config: Mapping[str, Any]
    command: str


def _digest(code: str) -> str:
    """Hash source expression of a Content-Security-Policy for inline code."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _content_policy(css: str, script: str) -> str:
    """Content-Security-Policy that allows only this style sheet, this script and the pieces that the script loads.

    ``'strict-dynamic'`` extends the script's trust to the scripts that it loads, but not to markup in the page; unlike
    ``'self'``, it works for local files as well as on a server. Trusted types disable ``innerHTML`` and similar sinks.
    """
    code = "'none'"
    if script:
        code = f"{_digest(script)} 'strict-dynamic'; require-trusted-types-for 'script'; trusted-types pieces"
    return (
        f"default-src 'none'; style-src {_digest(css)}; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {code}"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (text.visible, text.number, text.signed, text.p_value, text.limit, text.duration, text.compact,
                     text.level, text.words):  # fmt: skip
        environment.filters[function.__name__] = function
    return environment


TITLES = {
    "win_rates_by_language": "Win minus loss by policy, opponent and language",
    "win_rates": "Win, tie and loss shares per policy and opponent",
    "improvement": "Change in win minus loss relative to the base, by variant and language",
    "forest": "Change in win minus loss relative to the base, by variant, opponent and language",
    "lengths": "Text lengths by data set and language",
    "diagnostics": "Share of pairs with each flag by data set and language",
    "bleu": "BLEU by translator and language",
    "chrf": "chrF++ by translator and language",
    "training": "Training curves",
    "rules": "Workflow rules and their dependencies",
}


def _figures(svgs: Mapping[str, str], captions: Mapping[str, str]) -> dict[str, dict]:
    """Inline figures by name: markup, whether they use the colours of the page, caption and links to their files."""
    shown = {}
    for name, svg in svgs.items():
        markup, themed = inline_svg(svg, name, TITLES[name])
        files = {kind: f"{PICTURES}/{name}.{kind}" for kind in KINDS} if name in FIGURES else {}
        shown[name] = {"svg": markup, "themed": themed, "caption": captions[name], "files": files}
    return shown


def _tables(results: Results, languages: list[str]) -> dict[str, Any]:
    """Table rows for the templates."""
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
        "seeds": layout.seed_rows(tables.get("seeds")),
        "length_bias": tables["length_bias"].to_dict("records"),
        "wrong_languages": layout.wrong_language_matrix(tables["wrong_languages"], languages),
        "translation_comparisons": layout.comparison_rows(tables["translation_comparisons"]),
        "matrix": layout.language_matrix(tables["win_rates_by_language"], languages),
        "matrix_full": layout.full_scale(tables["win_rates_by_language"]["difference"]),
        "improvement": layout.improvement_rows(tables["improvement_by_language"]),
        "improvement_matrix": layout.improvement_matrix(tables["improvement_by_language"]),
        "improvement_cells": tables["improvement_by_language"].to_dict("records"),
        "bias": tables["position_bias"].to_dict("records"),
        "scores": scores.to_dict("records"),
        "wmt_languages": wmt,
        "comparisons": {
            label: layout.score_comparison(scores, paper.get(metric), f"{metric}_sentence_mean", wmt)
            for metric, label in (("bleu", "BLEU"), ("chrf", "chrF++"))
        },
        "counts": layout.count_matrix(tables["dataset_counts"], languages),
        "funnel": {stage: layout.funnel_rows(tables["funnel"], stage) for stage in STAGES},
        "flags": layout.flag_rows(tables["diagnostics"], languages),
        "tokens": layout.token_rows(tables["diagnostics"], languages),
        "ratings": tables["ratings"].to_dict("records") if "ratings" in tables else [],
        "training_metrics": metrics,
        "training": curves,
        "batches": cost[:-1],
        "cost_total": cost[-1],
        "estimates": tables["estimate"].to_dict("records") if "estimate" in tables else [],
    }


def _asset(name: str) -> str:
    return (HERE / "static" / name).read_text(encoding="utf-8")


def render(results: Results, settings: Settings) -> dict[str, str]:
    """Render the pages as ``{file name: HTML}``.

    Parameters
    ----------
    results : tables, figures and texts of a run.
    settings : title, languages and the configuration.

    Raises
    ------
    jinja2.UndefinedError
        A table lacks a column that a template uses.
    """
    environment, languages = _environment(), list(settings.languages)
    config = method.without_secrets(settings.config)
    shown = {
        "settings": settings,
        "pages": PAGES,
        "languages": languages,
        "names": {code: language["name"] for code, language in settings.languages.items()},
        "headline": headline(results.tables["improvement_by_language"], results.tables.get("health")),
        "health": layout.health_rows(results.tables.get("health")),
        "figures": _figures(results.figures, results.captions),
        "with_paper": bool(results.paper),
        "pair_count": results.preferences.pair_count,
        "shown_pairs": results.preferences.sample,
        "shown_prompts": results.judgements.sample,
        "architectures": list(results.preferences.datasets),
        "policies": results.judgements.names["policy"],
        "opponents": sorted(results.judgements.names["opponent"]),
        "all_flags": [flag for flag in FLAGS if "ratings" in results.tables or flag not in RATED_FLAGS],
        "judges": sorted(results.judgements.names["model"]),
        "sources": results.preferences.sources,
        "rater": next(filter(None, map(config.get("rating", {}).get, ("rater", "comet_kiwi"))), "A model"),
        "sanity": layout.sanity_rows(results.sanity, results.judgements.texts_of(results.sanity["item_id"].unique())),
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100),
        "models": method.models(config),
        "data_sets": method.data_sets(config),
        "versions": method.versions(),
        "attention": method.attention(results.policies),
        **_tables(results, languages),
    }
    made = {}
    for page in PAGES:
        css = _asset("report.css") + (_asset("browser.css") if page.scripts else "")
        script = '"use strict";\n' + "".join(map(_asset, page.scripts)) if page.scripts else ""
        own = {"page": page, "css": Markup(css), "script": Markup(script),
               "content_policy": _content_policy(css, script)}  # fmt: skip
        made[f"{page.stem}.html"] = environment.get_template(f"{page.stem}.html.j2").render(**shown, **own)
    return made


def write_report(results: Results, settings: Settings, folder: str | Path) -> None:
    """Write the pages to a folder and their data pieces to its ``data/`` folder; arguments as in :func:`render`."""
    folder, languages = Path(folder), list(settings.languages)
    pages = render(results, settings)
    data = folder / DATA
    data.mkdir(parents=True, exist_ok=True)
    for old in data.glob("*.js"):  # left by an earlier run, possibly with other languages
        old.unlink()
    write_preferences(data, results.preferences)
    write_verdicts(data, results.judgements, results.tables["answer_flags"], languages)
    (folder / PICTURES).mkdir(exist_ok=True)
    for path in map(Path, results.figure_files):
        with atomic_write(folder / PICTURES / path.name) as file, path.open("rb") as picture:
            shutil.copyfileobj(picture, file)
    for name, page in pages.items():
        with atomic_write(folder / name, "w") as file:
            file.write(page)
