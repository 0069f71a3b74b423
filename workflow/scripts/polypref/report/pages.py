"""The pages of the report; a module of its own, since the rules import it."""

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
