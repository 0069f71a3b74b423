"""Cost of the batches and their total."""

import json

import pytest
import synthetic

from polypref.files.tables import TableError
from polypref.preflight.cost import read_cost, tabulate_cost


def test_total_is_the_sum_and_stages_are_in_order():
    costs = [synthetic.cost(task, "m") for task in ("judge", "answer", "translate")]
    costs[0]["cost_usd"] = None
    table = tabulate_cost(costs)
    assert table["task"].tolist() == ["translate", "answer", "judge", "total"]
    total = table.iloc[-1]
    assert total["engine_starts"] == 3 and total["runs"] == 3
    assert total["completion_tokens"] == sum(cost["completion_tokens"] for cost in costs)
    assert total["seconds"] == pytest.approx(sum(cost["seconds"] for cost in costs))
    assert table["requests"].dtype.kind == "i"


def test_an_incomplete_cost_file_is_an_error(tmp_path):
    path = tmp_path / "m.cost.json"
    cost = synthetic.cost("judge", "m")
    del cost["seconds"], cost["engine"]
    path.write_text(json.dumps(cost))
    with pytest.raises(TableError, match=r"m\.cost\.json: no field engine, seconds"):
        read_cost(path)
    path.write_text("{")
    with pytest.raises(TableError, match=r"m\.cost\.json: not JSON"):
        read_cost(path)
