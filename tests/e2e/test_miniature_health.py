"""The health checks of the miniature: the table, and the statuses that are known for its models."""

import pandas as pd
import pytest

from polypref.files.result_tables import read_csv
from polypref.health.checks import CHECKS, COLUMNS


def test_health_checks_are_listed_with_their_status(miniature):
    health = read_csv(miniature.results / "tables/health.csv")
    assert list(health.columns) == list(COLUMNS)
    assert set(CHECKS) >= set(health["check"]) and health["check"].nunique() >= 24
    assert set(health["status"]) <= {"pass", "warn"} and not health["voids"].astype(str).eq("True").any()
    status = health.groupby("check")["status"].agg(set)
    for name in ("judge_position", "judge_length", "judge_unparsed", "judge_errors", "training_finite"):
        assert status[name] == {"pass"}, name
    assert status["judge_sanity_wins"] == {"warn"}, "the tiny judge gets some of these wrong"
    assert status["prompts_informative"] == {"warn"}, "there are only 12 source prompts"
    assert "Health checks: 0 failed" in miniature.output


def test_shares_agree_with_the_answers(miniature):
    health = read_csv(miniature.results / "tables/health.csv")
    found = health[health["check"].eq("answers_truncated")].set_index("about")["value"]
    for name, share in found.items():
        answers = pd.concat(map(pd.read_parquet, (miniature.results / f"answers/{name}").glob("*.parquet")))
        assert share == pytest.approx(100 * answers["finish_reason"].eq("length").mean(), abs=1e-4)
    assert set(found.index) == {path.name for path in (miniature.results / "answers").iterdir()}
