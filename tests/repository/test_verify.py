"""The published numbers are reproduced, and all but one row of percentages are whole numbers of verdicts."""

import runpy
from pathlib import Path

import pytest

VERIFY = runpy.run_path(str(Path(__file__).parents[2] / "tools/verify.py"))


def test_all_published_numbers_are_reproduced(capsys):
    assert VERIFY["main"]() == 0
    assert "11 of the paper's 12 rows are whole numbers of 6,750 verdicts" in capsys.readouterr().out


def test_integer_counts_equal_an_exhaustive_search():
    for percent in (64.27, 72.32, 0.0, 100.0):
        expected = [count for count in range(6751) if f"{100 * count / 6750:.2f}" == f"{percent:.2f}"]
        assert VERIFY["integer_counts"](percent, 6750) == expected
    assert VERIFY["integer_counts"](72.32, 6750) == []


@pytest.mark.parametrize(("percents", "n", "size"), [([50.0], 7, 6), ([33.33, 66.67], 8, 6)])
def test_the_largest_possible_number_of_verdicts(percents, n, size):
    assert VERIFY["largest_possible"](percents, n) == size
