"""A second judge: asked for the same texts in the same order, or for a share of the prompts."""

import json
from pathlib import Path

import pytest
import yaml

from polypref.config.loading import ConfigError, load_config, read_languages
from polypref.files.schemas import JUDGE_REQUESTS
from polypref.files.tables import TableError
from polypref.plan.plan import Plan
from polypref.plan.settings import settings
from polypref.requests.asking import Asked
from polypref.requests.judge import ask_second_judge, ask_verdicts, random_order

ROOT = Path(__file__).parents[2]
TEMPLATE = "{language} {prompt} {answer_a} {answer_b}"
FIRST = Asked("one", "owner/one", "abc", False, {"temperature": 0.0, "max_tokens": 8})
SECOND = Asked("two", "owner/two", "def", False, {"temperature": 0.0, "max_tokens": 4})


def requests(n: int = 40, sampled: dict | None = None, asked: Asked = FIRST) -> list[dict]:
    prompts = [{"item_id": f"i{k}", "prompt_id": f"p{k}", "language": "de", "prompt": "Wer?"} for k in range(n)]
    answers = [{"item_id": f"i{k}", "text": f"Ich, {k}.", "error": "lost" if k == 1 else None} for k in range(n)]
    others = {"x": [{**row, "text": "Du."} for row in answers]}
    return ask_verdicts(prompts, ("A", answers), others, asked, TEMPLATE, "German", lambda _: None, sampled)


def plan(**judging) -> Plan:
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    raw["judging"] |= judging
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def test_it_is_asked_what_the_first_was_asked():
    first, second = requests(), ask_second_judge(requests(), SECOND)
    assert set(second[0]) == set(JUDGE_REQUESTS.names)
    for one, two in zip(first, second, strict=True):
        for name in ("item_id", "prompt_id", "policy", "opponent", "order", "sample", "messages"):
            assert one[name] == two[name]
        assert (two["model"], two["checkpoint"], two["revision"]) == ("two", "owner/two", "def")
        assert json.loads(two["decoding"])["max_tokens"] == 4
        assert two["request_id"] != one["request_id"] or one["request_id"] is None
    assert [row["request_id"] for row in second if row["item_id"] == "i1"] == [None, None]


def test_a_share_is_of_prompts_whole_and_the_same_for_every_policy():
    kept = [row["prompt_id"] for row in ask_second_judge(requests(400), SECOND, 0.25, 7)]
    assert 70 <= len(set(kept)) <= 130 and len(kept) == 2 * len(set(kept))
    renamed = [{**row, "policy": "B", "language": "is"} for row in requests(400)]
    assert [row["prompt_id"] for row in ask_second_judge(renamed, SECOND, 0.25, 7)] == kept
    assert set(kept) != {row["prompt_id"] for row in ask_second_judge(requests(400), SECOND, 0.25, 8)}


def test_runs_above_temperature_zero_are_asked_one_by_one():
    warm = Asked("one", "owner/one", "abc", False, {"temperature": 0.7, "max_tokens": 8})
    rows = requests(3, {"runs": 5, "seed": 3}, warm)
    assert len(rows) == 3 * 5
    for row in rows:
        assert row["order"] == random_order(3, row["item_id"], "A", "x", row["sample"])
    ids = [row["request_id"] for row in rows if row["request_id"]]
    assert len(set(ids)) == 10, "every run is a request of its own"
    assert [row["sample"] for row in ask_second_judge(rows, SECOND)] == [row["sample"] for row in rows]


def test_only_a_warm_judge_in_mode_paper_is_sampled():
    assert plan(mode="paper").sampled_runs() is None
    warm = plan(mode="paper", decoding={"temperature": 0.5, "max_tokens": 8})
    assert warm.sampled_runs() == {"runs": 5, "seed": 1} == settings(warm, "judge")["sampled"]
    assert settings(warm, "verdicts")["judging"]["mode"] == "sampled"
    assert "sampled" not in settings(plan(decoding={"temperature": 0.5, "max_tokens": 8}), "judge")


def test_it_is_a_batch_of_its_own_and_absent_by_default():
    made = plan(second={"judge": "strong", "share": 0.5})
    assert made.batches()["judge", "strong"][0] == "second/A/ar" and len(made.batches()["judge", "strong"]) == 36
    assert settings(made, "second_judge")["share"] == 0.5
    assert ("judge", "strong") not in plan().batches()


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        ({"judge": "judge"}, "judging.second.judge: found 'judge'; allowed: a checkpoint that is not judging.judge"),
        ({"judge": "nobody"}, "judging.second.judge: found 'nobody'"),
        ({"judge": "strong", "share": 0}, "judging.second.share"),
    ],
)
def test_a_wrong_one_is_named(second, complaint):
    with pytest.raises((ConfigError, TableError), match=complaint):
        plan(second=second)
