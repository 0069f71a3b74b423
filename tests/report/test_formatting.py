"""The headline, formatted numbers, embedded figures, and the rows of the funnel."""

import pandas as pd
import pytest

from polypref.files.result_tables import read_csv
from polypref.report import text
from polypref.report.headline import headline
from polypref.report.layout import funnel_rows
from polypref.report.svg import inline_svg


def _improvement(low: float, mean: float, high: float) -> pd.DataFrame:
    row = {"improvement": mean, "low": low, "high": high, "prompts": 9}
    return pd.DataFrame([{"policy": "B", "opponent": o, "language": code, **row} for o, code in
                         (("all", "all"), ("all", "de"), ("x", "all"), ("x", "de"))])  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "start"),
    [((1, 2, 3), "B gains the most: +2.0"), ((-1, 2, 5), "No clear winner"), ((-3, -2, -1), "None improves"),
     ((float("nan"), 2, float("nan")), "No clear winner")],
)  # fmt: skip
def test_headline_says_what_the_interval_allows(interval, start):
    found = headline(_improvement(*interval))
    assert found.answer.startswith(start)
    by_chance = headline(_improvement(*interval).assign(p_adjusted=0.2))
    assert not by_chance.answer.startswith("B gains")
    assert "1 opponents" not in found.detail
    assert headline(_improvement(*interval).head(0)).answer.startswith("There is no result yet")


def test_numbers_are_formatted():
    assert (text.signed(-0.04), text.signed(0.04), text.signed(-1.25)) == ("0.0", "0.0", "−1.2")
    assert (text.number(float("nan")), text.number(12345.678, 1)) == ("–", "12,345.7")
    assert (text.compact(33750), text.compact(1234567), text.compact(999)) == ("33.8k", "1.23M", "999")
    assert (text.duration(5), text.duration(90), text.duration(7200)) == ("5.0 s", "1.5 min", "2.0 h")
    assert (text.level(-61, 60), text.level(8, 60), text.level(60, 60)) == (-4, 1, 4)
    assert (text.p_value(0.0), text.p_value(0.0123), text.p_value(float("nan"))) == ("<0.001", "0.012", "–")


def test_a_figure_without_theme_colours_gets_a_background():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="10pt"><style>*{}</style><path id="a" style="fill: {}"/></svg>'
    markup, themed = inline_svg(svg.replace("{}", "#000000", 2).replace("*#000000", "*{}"), "f", "t")
    assert not themed and "style" not in markup and 'id="f-a"' in markup
    markup, themed = inline_svg(svg.replace("fill: {}", "fill: #22262b"), "f", "t")
    assert themed and 'fill="currentColor"' in markup


def test_the_funnel_of_a_run_that_dropped_nothing(tmp_path):
    """The column of reasons is empty, so pandas reads it as numbers."""
    path = tmp_path / "funnel.csv"
    path.write_text("stage,name,language,step,reason,rows\nsource,own,,read,,12\nsource,own,,kept,,12\n")
    (row,) = funnel_rows(read_csv(path), "source")
    assert row == {"name": "own", "read": 12, "drops": [], "dropped": 0, "kept": 12}
