"""The pages of the report and their figures, in a module without dependencies because the rules import it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page: the stem of its file and of its template, its name in the navigation, and its scripts."""

    stem: str
    name: str
    scripts: tuple[str, ...] = ()


PAGES = (
    Page("index", "Overview"),
    Page("win_rates", "Win rates"),
    Page("translation", "Translation"),
    Page("data", "Data"),
    Page("training", "Training"),
    Page("reader", "Reader", ("pieces.js", "browser.js", "reader.js")),
    Page("verdicts", "Verdicts", ("pieces.js", "browser.js", "verdicts.js")),
    Page("cost", "Cost"),
    Page("method", "Method"),
)
"""All pages in the order of the navigation."""
FIGURES = ("improvement", "forest", "win_rates", "win_rates_by_language", "bleu", "chrf", "lengths", "diagnostics",
           "training")  # fmt: skip
"""Names of the figures that the pages show or link to; files and captions (docs/captions/) have the same names."""
KINDS = ("svg", "png", "csv")
"""File types of each figure: two image formats, and its data."""
