"""The pages of the report and the figures in them; a module of its own, since the rules import it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page: its file's stem and template, its name in the navigation, and the scripts it runs."""

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
"""Figures that the pages show or link to, by the name of their files and of their caption in docs/captions/."""
KINDS = ("svg", "png", "csv")
"""Files of each figure: two pictures, and the numbers in them."""
