"""A second judge receives the requests of the first, or those of a sampled share of the prompts."""

import json
from pathlib import Path

import pytest
import yaml

from polypref.config.loading import ConfigError, load_config, read_languages
from polypref.files.schemas import JUDGE_REQUESTS
from polypref.files.tables import TableError
from polypref.plan.plan import Plan
from polypref.plan.settings import settings
from polypref.requests.asking import RequestSettings
from polypref.requests.judge import ask_second_judge, ask_verdicts, random_order

ROOT = Path(__file__).parents[2]
TEMPLATE = "{language} {prompt} {answer_a} {answer_b}"
FIRST = RequestSettings("one", "owner/one", "abc", False, {"temperature": 0.0, "max_tokens": 8})
SECOND = RequestSettings("two", "owner/two", "def", False, {"temperature": 0.0, "max_tokens": 4})


def requests(n: int = 40, sampled: dict | None = None, asked: RequestSettings = FIRST) -> list[dict]:
    prompts = [{"item_id": f"i{k}", "prompt_id": f"p{k}", "language": "de", "prompt": "Wer?"} for k in range(n)]
    answers = [{"item_id": f"i{k}", "text": f"Ich, {k}.", "error": "lost" if k == 1 else None} for k in range(n)]
    others = {"x": [{**row, "text": "Du."} for row in answers]}
    return ask_verdicts(prompts, ("A", answers), others, asked, TEMPLATE, "German", lambda _: None, sampled)


def plan(**judging) -> Plan:
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    raw["judging"] |= judging
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def test_the_second_judge_receives_the_messages_of_the_first():
    first, second = requests(), ask_second_judge(requests(), SECOND)
    assert set(second[0]) == set(JUDGE_REQUESTS.names)
    for one, two in zip(first, second, strict=True):
        for name in ("item_id", "prompt_id", "policy", "opponent", "order", "sample", "messages"):
            assert one[name] == two[name]
        assert (two["model"], two["checkpoint"], two["revision"]) == ("two", "owner/two", "def")
        assert json.loads(two["decoding"])["max_tokens"] == 4
        assert two["request_id"] != one["request_id"] or one["request_id"] is None
    assert [row["request_id"] for row in second if row["item_id"] == "i1"] == [None, None]


def test_a_share_takes_all_requests_of_a_prompt_and_the_same_prompts_for_every_policy():
    sampled = [row["prompt_id"] for row in ask_second_judge(requests(400), SECOND, 0.25, 7)]
    assert 70 <= len(set(sampled)) <= 130 and len(sampled) == 2 * len(set(sampled))
    renamed = [{**row, "policy": "B", "language": "is"} for row in requests(400)]
    assert [row["prompt_id"] for row in ask_second_judge(renamed, SECOND, 0.25, 7)] == sampled
    assert set(sampled) != {row["prompt_id"] for row in ask_second_judge(requests(400), SECOND, 0.25, 8)}


def test_above_temperature_zero_every_run_has_its_own_request():
    sampled_judge = RequestSettings("one", "owner/one", "abc", False, {"temperature": 0.7, "max_tokens": 8})
    rows = requests(3, {"runs": 5, "seed": 3}, sampled_judge)
    assert len(rows) == 3 * 5
    for row in rows:
        assert row["order"] == random_order(3, row["item_id"], "A", "x", row["sample"])
    ids = [row["request_id"] for row in rows if row["request_id"]]
    assert len(set(ids)) == 10, "every run has its own request"
    assert [row["sample"] for row in ask_second_judge(rows, SECOND)] == [row["sample"] for row in rows]


def test_judging_is_sampled_only_in_mode_paper_above_temperature_zero():
    assert plan(mode="paper").sampled_runs() is None
    sampled_judge = plan(mode="paper", decoding={"temperature": 0.5, "max_tokens": 8})
    assert sampled_judge.sampled_runs() == {"runs": 5, "seed": 1} == settings(sampled_judge, "judge")["sampled"]
    assert settings(sampled_judge, "verdicts")["judging"]["mode"] == "sampled"
    assert "sampled" not in settings(plan(decoding={"temperature": 0.5, "max_tokens": 8}), "judge")


def test_the_second_judge_is_a_separate_batch_and_off_by_default():
    planned = plan(second={"judge": "strong", "share": 0.5})
    assert planned.batches()["judge", "strong"][0] == "second/A/ar" and len(planned.batches()["judge", "strong"]) == 36
    assert settings(planned, "second_judge")["share"] == 0.5
    assert ("judge", "strong") not in plan().batches()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"judge": "judge"}, "judging.second.judge: found 'judge'; allowed: a checkpoint that is not judging.judge"),
        ({"judge": "nobody"}, "judging.second.judge: found 'nobody'"),
        ({"judge": "strong", "share": 0}, "judging.second.share"),
    ],
)
def test_an_invalid_second_judge_is_reported(second, message):
    with pytest.raises((ConfigError, TableError), match=message):
        plan(second=second)
