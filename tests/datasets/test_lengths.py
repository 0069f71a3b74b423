"""The distribution of lengths is computed from counts, with the same percentiles as from all lengths."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polypref.datasets.diagnostic_tables import tabulate_lengths
from polypref.files.schemas import FIELDS


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.integers(1, 40))
def test_percentiles_equal_those_of_numpy(lengths, piece):
    frame = pd.DataFrame({"language": "de", **{f"{field}_tokens": lengths for field in FIELDS}})
    pieces = [frame[start : start + piece] for start in range(0, len(frame), piece)]
    row = tabulate_lengths({"A": pieces}, ["de"]).iloc[0]
    assert row["pairs"] == len(lengths) and row["mean"] == pytest.approx(np.mean(lengths))
    for name in ("p5", "p25", "p50", "p75", "p95"):
        assert row[name] == pytest.approx(np.percentile(lengths, int(name[1:])))
