"""`make gpu-check`: comparison of completions, output for a failed part, and the configuration for a GPU."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import gpu_check

    return gpu_check


def test_answers_are_compared_row_by_row(check):
    given = {"greedy": [["a", None], ["b", None]], "labels": [["A", {"A": -0.1, "B": -2.5}]], "new": [["c", None]]}
    expected = {"greedy": [["a", None], ["x", None]], "labels": [["A", {"A": -0.15, "B": -2.0}]]}
    assert check.comparison(given, expected) == [
        ["greedy", "2", "2", "1", ""], ["labels", "1", "1", "1", "0.500"], ["new", "1", "0", "0", ""],
    ]  # fmt: skip
    given, expected = ({"judge": {key: [text, None] for key in keys}} for keys, text in (("abc", "A"), ("bcd", "A")))
    assert check.comparison(given, expected) == [["judge", "3", "2", "2", ""]]


def test_completions_are_found_by_request_whatever_the_number_format(check, tmp_path):
    import synthetic_requests

    from polypref.files.schemas import COMPLETIONS, REQUESTS
    from polypref.files.table_writer import write_table
    from polypref.files.tables import read_rows

    (file,) = synthetic_requests.write_translations(tmp_path / "translate", 2, languages=1)
    rows = read_rows(file, REQUESTS)
    write_table(tmp_path / "requests/translate/de.parquet", rows, REQUESTS)
    done = dict.fromkeys(COMPLETIONS.names) | {"text": "a", "logprobs": '{"A": -0.5}', "finish_reason": "stop"}
    numbers = {"prompt_tokens": 1, "completion_tokens": 1, "cost_usd": 0.0}
    done = [done | numbers | {"request_id": row["request_id"]} for row in rows]
    write_table(tmp_path / "completions/translate/strong.parquet", done, COMPLETIONS)
    found = check.gpu_parts.completions_by_request(tmp_path)
    assert list(found) == ["miniature, translate"] and len(found["miniature, translate"]) == 2
    assert list(found["miniature, translate"].values()) == [["a", {"A": -0.5}]] * 2
    assert not set(found["miniature, translate"]) & {row["request_id"] for row in rows}


def test_a_part_that_failed_is_named_and_the_others_are_shown(check):
    found = {
        "vllm": {"fault": check.last_words("Traceback\n  File x\nRuntimeError: no | GPU\nmore"), "seconds": 2.0},
        "dpo": {"ran": "1 step", "seconds": 30.4},
    }
    page = check.page(found, {}, "a card")
    assert "| vllm | **failed**: RuntimeError: no \\| GPU | 2 |" in page and "| dpo | 1 step | 30 |" in page


def test_on_a_gpu_every_model_of_the_miniature_uses_it(check, tmp_path):
    from polypref.config.loading import load_config, read_languages
    from polypref.plan.needs import gpu_batches
    from polypref.plan.plan import Plan

    plan = Plan(load_config(check.gpu_parts.miniature_config(False, tmp_path), ROOT), read_languages(ROOT))
    assert set(gpu_batches(plan)) == {f"{task}/{name}" for task, name in plan.batches()}
    assert {plan.config.checkpoints[plan.batch_checkpoint(*batch)].engine for batch in plan.batches()} == {
        "vllm", "seq2seq",
    }  # fmt: skip
    assert plan.config.training.runtime.launcher == "deepspeed" and plan.config.training.zero_stage == 2
