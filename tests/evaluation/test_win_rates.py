"""Random-order runs and position bias, compared with manual counts."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from polypref.evaluation.win_rates import judgements, position_bias
from polypref.files.tables import TableError
from polypref.requests.judge import ORDERS, random_order

HAND = synthetic.judged_by_hand(
    ("A", "i1", "policy", "opponent"), ("A", "i2", "policy", "policy"), ("A", "i3", "tie", ""),
    ("A", "i4", "opponent", "error"),
)  # fmt: skip


def test_paper_mode_looks_up_the_verdicts_of_seeded_orders():
    verdicts = pd.concat([synthetic.verdicts("A", code, prompts=40) for code in ("de", "is")], ignore_index=True)
    judged = judgements(verdicts, "paper", 5, 7)
    assert len(judged) == 5 * len(verdicts) / 2
    for row in judged.head(20).itertuples():
        assert row.order == random_order(7, row.item_id, row.policy, row.opponent, row.run)
    shuffled = verdicts.sample(frac=1, random_state=3)
    by = [*judged[["item_id", "policy", "opponent", "run"]]]
    again = judgements(shuffled, "paper", 5, 7)
    pd.testing.assert_frame_equal(judged.sort_values(by, ignore_index=True), again.sort_values(by, ignore_index=True))
    other = judgements(verdicts, "paper", 5, 8)
    assert not judged["order"].equals(other["order"])


def test_orders_are_fair_and_differ_between_runs():
    drawn = [[random_order(1, f"i{i}", "A", "x", run) == ORDERS[0] for i in range(2000)] for run in range(2)]
    assert 0.46 < np.mean(drawn) < 0.54
    assert 0.45 < np.mean(np.array(drawn[0]) == np.array(drawn[1])) < 0.55


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda v: v.drop(index=[0]), "without one of the two orders: i1 / A / x"),
        (lambda v: pd.concat([v, v.head(1)]), "more than once: i1"),
        (lambda v: v.assign(order="random"), "order is 'random'"),
        (lambda v: v.assign(status=v["status"].replace("unparsed", "parsed")), "contradict each other in i3"),
    ],
)
def test_each_order_must_occur_exactly_once(change, complaint):
    with pytest.raises(TableError, match=complaint):
        judgements(change(HAND), "balanced", 1, 1)


def test_above_temperature_zero_each_run_has_its_own_replies():
    frame = pd.DataFrame([
        {"item_id": item, "policy": "A", "opponent": "x", "order": random_order(1, item, "A", "x", run), "sample": run,
         "verdict": "policy", "status": "parsed"}
        for item in ("i1", "i2") for run in range(3)
    ])  # fmt: skip
    assert judgements(frame, "sampled", 3, 1)["run"].tolist() == [0, 1, 2] * 2
    assert position_bias(frame).loc[0, "judgements"] == 6
    for wrong in (frame.drop(index=1), pd.concat([frame, frame.head(1)]), frame.replace({"sample": {2: 3}})):
        with pytest.raises(TableError, match="without one row in each of 3 runs: i1 / A / x"):
            judgements(wrong, "sampled", 3, 1)


def test_unknown_mode():
    with pytest.raises(ValueError, match="expected balanced or paper"):
        judgements(HAND, "both", 5, 1)


def test_position_bias_by_hand():
    overall, row = position_bias(HAND).to_dict("records")
    assert {**overall, "policy": "A", "opponent": "x"} == row
    assert row["judgements"] == 6
    # won by: i1 first, first; i2 first, second; i3 tie; i4 the opponent, shown second
    assert row["first_percent"] == pytest.approx(300 / 6)
    assert row["second_percent"] == pytest.approx(200 / 6)
    assert (row["pairs"], row["flipped"], row["flip_percent"]) == (2, 1, 50.0)


def test_position_bias_is_detected():
    table = position_bias(synthetic.verdicts("A", "de", prompts=400, bias=0.2))
    assert table.loc[0, "first_percent"] > table.loc[0, "second_percent"] + 25
