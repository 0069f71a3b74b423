"""Typical replies and errors of chat APIs, from a server on loopback."""

import re
import time

import pytest
from completing import completed
from model_server import failure, good
from openai_requests import ask, one

from polypref.config.sections import Checkpoint
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.asking import RequestSettings
from polypref.requests.engines import EngineError
from polypref.requests.engines.openai import default_limit_field
from polypref.requests.generate import ask_responses
from polypref.requests.reasoning import apply_reasoning


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (422, True), (404, False)])
def test_rejected_requests_are_not_retried(serve, status, permanent):
    server, engine = serve(lambda n, body: failure(status, "too long"))
    completion = one(engine)
    assert f"HTTP {status}" in completion.error
    assert "too long" in completion.error
    assert completion.permanent is permanent
    assert len(server.seen) == 1


def test_content_filter_and_refusal(serve):
    replies = {
        "filter": good(None, "content_filter"),
        "refusal": good(None, refusal="I can't"),
        "cut": good("a", "length"),
    }
    _, engine = serve(lambda n, body: replies[body["messages"][0]["content"]], price={"input": 1, "output": 1})
    got = {c.request_id: c for c in engine.complete([ask(name, name) for name in replies])}
    for name in ("filter", "refusal"):
        assert got[name].permanent
        assert got[name].error.startswith("refused")
        assert got[name].cost_usd > 0
    assert got["cut"].finish_reason == "length"


@pytest.mark.parametrize("trouble", [failure(401), failure(403), failure(429, code="insufficient_quota")])
def test_an_invalid_key_ends_the_batch_after_the_finished_completions(serve, trouble):
    def script(number, body):
        if body["messages"][0]["content"] == "bad":
            return trouble
        time.sleep(0.2)
        return good()

    server, engine = serve(script)
    requests = [ask("a"), ask("b"), ask("bad", "bad"), *(ask(f"r{i}") for i in range(50))]
    got = []
    with pytest.raises(EngineError, match="OPENAI_API_KEY"):
        for completion in engine.complete(requests):
            got.append(completion.request_id)
    assert {"a", "b"} <= set(got), "completions that were paid for are kept"
    assert len(server.seen) <= 8


def body_of(**changes):
    status, headers, body = good("hello")
    return status, headers, {**body, **changes}


def test_a_reply_without_usage_is_accepted_and_its_tokens_are_estimates(serve):
    server, engine = serve(lambda n, body: body_of(usage=None), price={"input": 1000, "output": 1000})
    completion = one(engine)
    assert (completion.text, completion.error, completion.estimated) == ("hello", None, True)
    assert (completion.prompt_tokens, completion.completion_tokens) == (1, 2)
    assert engine.budget.spent == pytest.approx(3 * 1000 / 1e6) == completion.cost_usd
    assert len(server.seen) == 1


def test_estimated_usage_is_marked_in_the_statistics_of_the_run(serve, tmp_path):
    _, engine = serve(lambda n, body: body_of(usage=None))
    checkpoint = Checkpoint(engine="openai", path="m", base_url=str(engine.client.base_url))
    asked = RequestSettings("m", "m", None, False, {"max_tokens": 20, "temperature": 0.0})
    rows = ask_responses([{"item_id": str(n), "prompt": f"q{n}"} for n in range(3)], asked, "de")
    write_table(tmp_path / "requests", rows, REQUESTS)
    completions, run = completed([str(tmp_path / "requests")], tmp_path / "store", checkpoint)
    assert [row["text"] for row in completions] == ["hello"] * 3 and run["estimated"] == 3


def test_a_reply_with_only_reasoning_is_an_error_with_a_remedy(serve):
    for empty in (None, "", []):
        _, engine = serve(lambda n, body, empty=empty: good(empty, "length", reasoning_content="Let me think"))
        completion = one(engine)
        assert completion.finish_reason == "error" and completion.completion_tokens == 5
        assert "spent all 20 tokens" in completion.error and "raise max_tokens" in completion.error


def test_parts_of_content_and_other_finish_reasons(serve):
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]
    _, engine = serve(lambda n, body: good(parts, "eos"))
    assert (one(engine).text, one(engine).finish_reason) == ("yes", "stop")
    _, engine = serve(lambda n, body: good("x", "tool_calls"))
    assert "tool_calls" in one(engine).error


def test_an_error_instead_of_a_reply_is_retried_and_not_charged(serve):
    trouble = (200, {}, {"error": {"message": "upstream is down", "code": 502}})
    server, engine = serve(lambda n, body: trouble, price={"input": 1, "output": 1})
    assert "upstream is down" in one(engine).error
    assert len(server.seen) == 4 and engine.budget.spent == 0


@pytest.mark.parametrize(
    ("message", "code", "remedy"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
         "unsupported_parameter", "limit_field: max_completion_tokens"),
        ("use max_completion_tokens", "unsupported_parameter", "limit_field: max_completion_tokens"),
        ("Unsupported value: 'temperature' does not support 0.3 with this model.",
         "unsupported_value", "extra_body: {temperature: null}"),
        ("Unrecognized request argument supplied: seed", None, "extra_body: {seed: null}"),
    ],
)  # fmt: skip
def test_the_first_refused_parameter_stops_the_batch(serve, message, code, remedy):
    server, engine = serve(lambda n, body: failure(400, message, code=code))
    with pytest.raises(EngineError, match=re.escape(remedy)):
        list(engine.complete([ask(f"r{i}", seed=1) for i in range(50)]))
    assert len(server.seen) <= 4, "only the requests that were already in flight"


def test_a_refusal_of_one_request_does_not_stop_the_batch(serve):
    _, engine = serve(lambda n, body: failure(400, "max_tokens is too large: 20", code="invalid_value"))
    assert "too large" in one(engine).error


def test_extra_body_and_limit_field(serve):
    server, engine = serve(lambda n, body: good(), limit_field="max_completion_tokens")
    one(engine, extra_body={"temperature": None, "reasoning_effort": "low"})
    assert server.seen[0][1] == {
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 20,
        "reasoning_effort": "low",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://x.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://openrouter.ai/api/v1", "max_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
    ],
)  # fmt: skip
def test_default_limit_field(url, name):
    assert default_limit_field(url) == name


def test_reasoning_of_an_api_is_stripped_kept_or_turned_off(serve):
    server, engine = serve(lambda n, body: good("Two.", reasoning_content="Let me think"))
    assert one(engine).text == one(engine, reasoning="off").text == "Two."
    kept = one(engine, reasoning="keep")
    assert kept.text == one(engine, reasoning="strip").text == "<think>\nLet me think\n</think>\n\nTwo."
    assert apply_reasoning(kept, "strip").text == "Two."
    sent = [body.get("chat_template_kwargs") for _, body in server.seen]
    assert sent == [None, {"enable_thinking": False}, None, None]
