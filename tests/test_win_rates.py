"""Win rates against counts made by hand, random-order runs, position bias and paired differences."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from polypref.tables import TableError
from polypref.win_rates import (
    ORDERS,
    check_verdicts,
    clustered_mean,
    drawn_order,
    judgements,
    paired_differences,
    position_bias,
    tabulate_improvement,
    tabulate_rates,
)


def rows(*specs: tuple[str, str, str, str], opponent: str = "x", language: str = "de") -> pd.DataFrame:
    """Verdicts from (policy, item, verdict when first, verdict when second); "error" and "" are no verdicts."""
    out = []
    for policy, item, *verdicts in specs:
        for order, verdict in zip(ORDERS, verdicts, strict=True):
            status = {"": "unparsed", "error": "error"}.get(verdict, "parsed")
            out.append({
                "item_id": item, "prompt_id": item, "language": language, "policy": policy, "opponent": opponent,
                "order": order, "verdict": "" if verdict == "error" else verdict, "status": status,
            })  # fmt: skip
    return pd.DataFrame(out)


HAND = rows(("A", "i1", "policy", "opponent"), ("A", "i2", "policy", "policy"), ("A", "i3", "tie", ""),
            ("A", "i4", "opponent", "error"))  # fmt: skip


def test_balanced_counts():
    table = tabulate_rates(judgements(HAND, "balanced", 5, 1), ["policy", "opponent"])
    (row,) = table.to_dict("records")
    assert (row["prompts"], row["judgements"], row["errors"], row["runs"]) == (4, 7, 1, 1)
    assert row["win_percent"] == pytest.approx(300 / 7)
    assert row["loss_percent"] == pytest.approx(200 / 7)
    assert row["tie_percent"] == row["unparsed_percent"] == pytest.approx(100 / 7)
    assert row["difference"] == pytest.approx(100 / 7)
    assert row["score"] == pytest.approx(350 / 7)


def test_paper_mode_is_a_lookup_of_seeded_orders():
    verdicts = pd.concat([synthetic.verdicts("A", code, prompts=40) for code in ("de", "is")], ignore_index=True)
    judged = judgements(verdicts, "paper", 5, 7)
    assert len(judged) == 5 * len(verdicts) / 2
    for row in judged.head(20).itertuples():
        assert row.order == drawn_order(7, row.item_id, row.policy, row.opponent, row.run)
    shuffled = verdicts.sample(frac=1, random_state=3)
    by = ["policy", "opponent", "language"]
    table = tabulate_rates(judged, by)
    again = tabulate_rates(judgements(shuffled, "paper", 5, 7), by)
    pd.testing.assert_frame_equal(table.sort_values(by, ignore_index=True), again.sort_values(by, ignore_index=True))
    other = tabulate_rates(judgements(verdicts, "paper", 5, 8), by)
    assert not table["win_percent"].equals(other["win_percent"])
    shares = table[["win_percent", "loss_percent", "tie_percent", "unparsed_percent"]].sum(axis=1)
    assert np.allclose(shares, 100)
    # By hand: the share of wins in each run, then the mean over runs.
    one = judged[judged["opponent"].eq("llama-3-8b") & judged["language"].eq("is")]
    by_hand = np.mean([100 * (run["verdict"] == "policy").mean() for _, run in one.groupby("run")])
    found = table[table["opponent"].eq("llama-3-8b") & table["language"].eq("is")]["win_percent"].item()
    assert found == pytest.approx(by_hand)


def test_orders_are_fair_and_differ_between_runs():
    drawn = [[drawn_order(1, f"i{i}", "A", "x", run) == ORDERS[0] for i in range(2000)] for run in range(2)]
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
def test_rows_that_are_not_both_orders_once(change, complaint):
    with pytest.raises(TableError, match=complaint):
        check_verdicts(change(HAND))


def test_unknown_mode():
    with pytest.raises(ValueError, match="expected balanced or paper"):
        judgements(HAND, "both", 5, 1)


def test_position_bias_by_hand():
    overall, row = position_bias(HAND).to_dict("records")
    assert {**overall, "policy": "A", "opponent": "x"} == row
    assert row["judgements"] == 6
    # i1: first, first; i2: first, second; i3: tie; i4: the opponent, shown second.
    assert row["first_percent"] == pytest.approx(300 / 6)
    assert row["second_percent"] == pytest.approx(200 / 6)
    assert (row["pairs"], row["flipped"], row["flip_percent"]) == (2, 1, 50.0)


def test_position_bias_is_found():
    table = position_bias(synthetic.verdicts("A", "de", prompts=400, bias=0.2))
    assert table.loc[0, "first_percent"] > table.loc[0, "second_percent"] + 25


def test_paired_difference_by_hand():
    base = rows(("base", "i1", "policy", "opponent"), ("base", "i2", "opponent", "opponent"), ("base", "i3", "tie", ""),
                ("base", "i4", "error", "error"))  # fmt: skip
    paired = paired_differences(judgements(pd.concat([base, HAND]), "balanced", 1, 1), "base")
    assert paired["item_id"].tolist() == ["i1", "i2", "i3"]  # i4 has no reply for the base
    assert paired["improvement"].tolist() == [0.0, 200.0, 0.0]
    table = tabulate_improvement(paired, ["de"])
    assert table["language"].tolist() == ["all", "de", "all", "de"]
    assert np.allclose(table["improvement"], 200 / 3)
    assert np.allclose(table["standard_error"], np.std([0, 200, 0], ddof=1) / np.sqrt(3))


def test_variant_and_base_need_the_same_items():
    base = rows(("base", "i1", "tie", "tie"), ("base", "i2", "tie", "tie"), ("base", "i3", "tie", "tie"))
    with pytest.raises(TableError, match="A and base differ in x / i4"):
        paired_differences(judgements(pd.concat([base, HAND]), "balanced", 1, 1), "base")
    with pytest.raises(TableError, match="no rows of the base policy 'base'; found A"):
        paired_differences(judgements(HAND, "balanced", 1, 1), "base")


def test_clustered_standard_error():
    values = pd.Series([1.0, 3.0, 2.0, 5.0, 4.0, 9.0])
    mean, error = clustered_mean(values, pd.Series(range(6)))
    assert (mean, error) == (4.0, pytest.approx(values.std(ddof=1) / np.sqrt(6)))
    doubled = pd.concat([values, values])
    assert clustered_mean(doubled, pd.Series([*range(6)] * 2)) == (4.0, pytest.approx(error))
    assert np.isnan(clustered_mean(values, pd.Series([0] * 6))[1])


def test_interval_covers_the_truth():
    """Simulated verdicts of known truth, correlated within prompts: the 95% interval covers 93% to 97%."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(1000):
        prompts = np.repeat(np.arange(80), 6)
        values = pd.Series(rng.normal(2, 5, 80)[prompts] + rng.normal(0, 5, 480))
        mean, error = clustered_mean(values, pd.Series(prompts))
        covered += abs(mean - 2) < 1.96 * error
    assert 930 <= covered <= 970
