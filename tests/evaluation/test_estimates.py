"""Win rates and intervals, compared with manual results, plain pandas, statsmodels and simulated verdicts."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats
from simulated_verdicts import simulate

from polypref.evaluation.estimates import MACRO, POOLED, estimate_rates, language_rows, pooled_rows
from polypref.evaluation.win_rates import judgements
from polypref.files.tables import TableError

HAND = synthetic.judged_by_hand(
    ("A", "i1", "policy", "opponent"), ("A", "i2", "policy", "policy"), ("A", "i3", "tie", ""),
    ("A", "i4", "opponent", "error"),
)  # fmt: skip


def test_counts_by_hand():
    row = pooled_rows(estimate_rates(judgements(HAND, "balanced", 5, 1), 200)).iloc[0]
    assert (row["prompts"], row["judgements"], row["errors"], row["runs"]) == (4, 7, 1, 1)
    assert row["win_percent"] == pytest.approx(300 / 7)
    assert row["loss_percent"] == pytest.approx(200 / 7)
    assert row["tie_percent"] == pytest.approx(100 / 7) == row["unparsed_percent"]
    assert row["difference"] == pytest.approx(100 / 7)
    assert row["score"] == pytest.approx(350 / 7)
    # the unparsed reply counted as a loss, and as a win
    assert (row["difference_if_lost"], row["difference_if_won"]) == pytest.approx((0, 200 / 7))
    assert (row["score_if_lost"], row["score_if_won"]) == pytest.approx((350 / 7, 450 / 7))


def test_every_level_agrees_with_plain_pandas():
    verdicts = pd.concat([synthetic.verdicts(p, code, 15) for p in ("A", "B") for code in ("de", "is", "ar")])
    verdicts = verdicts[~(verdicts["language"].eq("is") & verdicts["item_id"].str.endswith(("3", "7")))]
    judged = judgements(verdicts.sample(frac=1, random_state=2), "paper", 5, 7)
    judged.loc[::17, ["verdict", "status"]] = [
        "",
        "error",
    ]  # the runs have different sizes, and the estimate is the mean over runs
    table = estimate_rates(judged, 100)
    assert len(table) == 2 * 4 * (3 + 2)
    outcome = pd.get_dummies(judged["verdict"].replace("", "unparsed"))[~judged["status"].eq("error")]
    kept = judged.loc[outcome.index]

    def share(mask):
        return 100 * outcome[mask].groupby(kept.loc[mask, "run"]).mean().mean()

    for row in table.itertuples():
        mask = kept["policy"].eq(row.policy)
        mask &= kept["opponent"].eq(row.opponent) if row.opponent != "all" else True
        if row.average == MACRO:
            found = pd.concat([share(mask & kept["language"].eq(code)) for code in ("de", "is", "ar")], axis=1).mean(
                axis=1
            )
        else:
            found = share(mask & (kept["language"].eq(row.language) if row.average != POOLED else True))
        assert row.win_percent == pytest.approx(found["policy"])
        assert row.difference == pytest.approx(found["policy"] - found["opponent"])
        assert row.score == pytest.approx(found["policy"] + found["tie"] / 2)
        assert row.unparsed_percent == pytest.approx(found["unparsed"])
        assert row.difference_low <= row.difference <= row.difference_high


def test_rows_in_another_order_give_the_same_estimates():
    judged = judgements(synthetic.verdicts("A", "de", 30), "balanced", 1, 1)
    one, two = estimate_rates(judged, 500), estimate_rates(judged.sample(frac=1, random_state=1), 500)
    keys = ["opponent", "language", "average"]
    columns = [*keys, "win_percent", "score", "difference_error"]
    pd.testing.assert_frame_equal(*(t.sort_values(keys, ignore_index=True)[columns] for t in (one, two)))


def test_plain_wilson_intervals_are_used_only_for_one_run_of_one_language():
    single, _ = simulate(60, 1, 1)
    rows = language_rows(estimate_rates(single, 200))
    count = single["verdict"].eq("policy").sum()
    low, high = stats.binomtest(int(count), 60).proportion_ci(method="wilson")
    assert rows["interval"].iloc[0].startswith("wilson")
    assert (rows["win_percent_low"].iloc[0], rows["win_percent_high"].iloc[0]) == pytest.approx((100 * low, 100 * high))
    never = language_rows(estimate_rates(single.assign(verdict="policy"), 200)).iloc[0]
    assert (never["loss_percent_low"], never["win_percent_high"]) == (0, 100)
    both = pd.concat([single, single], ignore_index=True)
    assert set(estimate_rates(both, 200)["interval"]) == {"cluster bootstrap"}
    assert (
        estimate_rates(single, 200).set_index("average").loc[POOLED, "interval"].tolist() == ["cluster bootstrap"] * 2
    )


def test_graded_preferences_and_their_standard_error():
    frame, rng = simulate(200, 1, 3)
    frame["points"] = rng.random(200)
    row = pooled_rows(estimate_rates(frame, 200)).iloc[0]
    assert row["score"] == pytest.approx(100 * frame["points"].mean())
    assert row["score_error"] == pytest.approx(100 * stats.sem(frame["points"]))


def test_doubling_every_judgement_changes_no_interval():
    """Runs with the same verdicts add no information, so the interval does not change."""
    frame, _ = simulate(40, 3, 2)
    doubled = pd.concat([frame, frame.assign(run=1)], ignore_index=True)
    one, two = (pooled_rows(estimate_rates(f, 2000)).iloc[0] for f in (frame, doubled))
    assert (one["difference_low"], one["difference_high"]) == (two["difference_low"], two["difference_high"])
    assert one["difference_error"] == pytest.approx(two["difference_error"])


def test_unknown_verdicts_and_no_rows():
    with pytest.raises(TableError, match="verdict is 'win'; expected policy, opponent, tie"):
        estimate_rates(simulate(4, 1, 1)[0].assign(verdict="win"))
    with pytest.raises(TableError, match="no rows"):
        estimate_rates(HAND.assign(run=0).head(0))


@pytest.mark.e2e  # seconds of computing
@pytest.mark.parametrize(("prompts", "languages"), [(150, 3), (25, 2)])
def test_intervals_cover_the_truth(prompts, languages):
    """With verdicts correlated within prompts, 93% to 97% of the intervals of 1,000 studies contain the true value."""
    studies = [simulate(prompts, languages, study)[0].assign(policy=f"study {study}") for study in range(1000)]
    table = estimate_rates(pd.concat(studies, ignore_index=True), 499)
    table = table[table["opponent"].ne("all") & table["language"].isin(["all", "l0"])]
    covered = (table["difference_low"].le(0) & table["difference_high"].ge(0)).groupby(table["average"]).mean()
    assert set(covered.index) == {"", MACRO, POOLED}
    assert covered.between(0.93, 0.97).all(), covered


def skewed(prompts: int, languages: int, seed: int, shift: float, tie: float, unbalanced: bool) -> pd.DataFrame:
    """Simulate verdicts that favour the first answer; ``unbalanced``: a prompt is not in all languages."""
    rng = np.random.default_rng(seed)
    worth = np.repeat(shift + rng.normal(0, 0.8, prompts), languages).reshape(prompts, languages)
    most = 1 + np.arange(prompts) * languages // prompts if unbalanced else np.full(prompts, languages)
    kept = np.arange(languages) < most[:, None]
    prompt, language = np.nonzero(kept)
    both = np.concatenate([(worth + rng.logistic(0, 1, worth.shape) + bias)[kept] for bias in (0.3, -0.3)])
    verdict = np.select([both > tie, both < -tie], ["policy", "opponent"], "tie")
    names = np.tile(np.char.add("l", language.astype(str)), 2)
    return pd.DataFrame({"prompt_id": np.tile(prompt, 2), "language": names,
                         "verdict": verdict, "run": 0, "opponent": "x", "status": "parsed"})  # fmt: skip


@pytest.mark.e2e  # seconds of computing
@pytest.mark.parametrize(
    ("prompts", "languages", "shift", "tie", "unbalanced"),
    [(60, 9, 0.3, 0.4, True), (60, 3, 0.2, 2.5, False), (150, 5, 3.0, 0.2, False)],
    ids=["prompts in one to nine languages", "mostly ties", "won nine times of ten"],
)
def test_intervals_cover_the_truth_in_other_shapes(prompts, languages, shift, tie, unbalanced):
    large = skewed(200_000, languages, 1, shift, tie, unbalanced)["verdict"]
    truth = 100 * (large.eq("policy").mean() - large.eq("opponent").mean())
    studies = [skewed(prompts, languages, 5 + study, shift, tie, unbalanced).assign(policy=f"study {study}")
               for study in range(1000)]  # fmt: skip
    table = pooled_rows(estimate_rates(pd.concat(studies, ignore_index=True), 499))
    covered = (table["difference_low"].le(truth) & table["difference_high"].ge(truth)).mean()
    assert 0.93 <= covered <= 0.97, covered
