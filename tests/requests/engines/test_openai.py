"""The OpenAI engine with a real HTTP server on loopback that simulates typical server errors."""

import email.utils
import logging
import time

import pytest
from model_server import failure, good
from openai_requests import KEY, ask, one

from polypref.config.sections import Checkpoint
from polypref.requests.engines import EngineError
from polypref.requests.engines import openai as engine_module
from polypref.requests.engines.openai import delay_s, open_engine


def test_answer_with_tokens_and_cost(serve):
    server, engine = serve(lambda n, body: good(), price={"input": 2.5, "output": 10})
    completion = one(engine, top_p=0.9, seed=3, stop=["\n"])
    assert (completion.text, completion.finish_reason, completion.error) == ("hello", "stop", None)
    assert (completion.prompt_tokens, completion.completion_tokens) == (10, 5)
    assert completion.cost_usd == pytest.approx((10 * 2.5 + 5 * 10) / 1e6)
    authorization, body = server.seen[0]
    assert authorization == f"Bearer {KEY}"
    assert body == {
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20, "temperature": 0.0,
        "top_p": 0.9, "seed": 3, "stop": ["\n"],
    }  # fmt: skip


def test_openai_itself_gets_max_completion_tokens(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid/v1")
    engine = open_engine(Checkpoint(engine="openai", path="gpt-4o"), "gpt-4o", None)
    assert engine.client.base_url.host == "api.openai.com"
    assert engine.arguments(ask())["max_completion_tokens"] == 20
    assert "max_tokens" not in engine.arguments(ask())


def test_bounded_concurrency_and_every_request_once(serve):
    def slow(number, body):
        time.sleep(0.02)
        return good(body["messages"][0]["content"])

    server, engine = serve(slow)
    requests = [ask(f"r{i}", f"text {i}") for i in range(40)]
    taken = []
    stream = engine.complete(taken.append(r) or r for r in requests)
    first = next(stream)
    assert len(taken) <= 8, "requests are read only when they can be sent"
    got = {c.request_id: c.text for c in [first, *stream]}
    assert got == {f"r{i}": f"text {i}" for i in range(40)}
    assert 2 <= server.most <= 4


@pytest.mark.parametrize(
    "trouble",
    [
        failure(500), failure(503), failure(429), failure(408), (None, {}, None), (200, {}, b"{not json"),
        (200, {}, b"{}"), (200, {"content-type": "text/html"}, b"<html>gateway</html>"), (502, {}, b"<html>bad</html>"),
    ],
)  # fmt: skip
def test_temporary_errors_are_retried(serve, trouble):
    server, engine = serve(lambda n, body: trouble if n < 3 else good())
    assert one(engine).text == "hello"
    assert len(server.seen) == 3


def test_timeouts_are_retried(serve):
    def script(number, body):
        if number == 1:
            time.sleep(0.6)
        return good()

    server, engine = serve(script, runtime={"timeout_s": 0.2})
    assert one(engine).text == "hello"
    assert len(server.seen) == 2


def test_the_last_failed_retry_gives_a_temporary_error(serve):
    server, engine = serve(lambda n, body: failure(500, "over\nloaded"), runtime={"max_retries": 2})
    completion = one(engine)
    assert (completion.text, completion.finish_reason, completion.permanent) == ("", "error", False)
    assert "over loaded" in completion.error or "over\\nloaded" in completion.error
    assert "\n" not in completion.error
    assert "3 attempts" in completion.error
    assert len(server.seen) == 3


def test_a_refused_connection_is_an_error(monkeypatch):
    checkpoint = Checkpoint(engine="openai", path="m", base_url="http://127.0.0.1:9/v1", runtime={"max_retries": 1})
    monkeypatch.setattr(engine_module, "BACKOFF_S", 0.01)
    completion = one(open_engine(checkpoint, "m", None))
    assert "connection failed" in completion.error
    assert not completion.permanent


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(serve, as_date):
    def script(number, body):
        wait = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
        return failure(429, headers={"retry-after": wait}) if number == 1 else good()

    server, engine = serve(script)
    assert one(engine).text == "hello"
    assert server.times[1] - server.times[0] >= 1.0


def test_delays():
    assert 7 <= delay_s(0, {"retry-after": "7"}) <= 8
    assert 0.3 <= delay_s(0, {"retry-after-ms": "300"}) <= 1.3
    assert 0 <= delay_s(0, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) <= 1
    for nonsense in ("soon", "nan", "", "-5"):
        assert 0 <= delay_s(0, {"retry-after": nonsense}) <= 1
    assert 30 <= delay_s(20, {}) <= 60
    assert delay_s(0, {}) < delay_s(5, {})


def test_a_retry_after_of_an_hour_is_an_error(serve):
    server, engine = serve(lambda n, body: failure(429, headers={"retry-after": "3600"}))
    started = time.monotonic()
    assert not one(engine).permanent
    assert time.monotonic() - started < 5
    assert len(server.seen) == 1


def test_the_key_is_never_printed(serve, caplog, capfd, monkeypatch):
    caplog.set_level(logging.DEBUG)
    text = f"Incorrect API key provided: {KEY}, sk-0123*****cdef, header Authorization: Bearer abcdefgh"
    for status in (400, 401, 500):
        _, engine = serve(lambda n, body, status=status: failure(status, text), runtime={"max_retries": 0})
        try:
            shown = one(engine).error
        except EngineError as error:
            shown = str(error)
        for secret in (KEY, "0123", "abcdefgh"):
            assert secret not in shown
    captured = capfd.readouterr()
    assert KEY not in caplog.text + captured.out + captured.err
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(EngineError, match="environment variable OPENAI_API_KEY"):
        open_engine(Checkpoint(engine="openai", path="m"), "m", None)


def test_beam_search_is_refused(serve):
    server, engine = serve(lambda n, body: good())
    assert "beam" in one(engine, beam_size=5).error
    assert server.seen == []


def test_an_abandoned_batch_stops_sending(serve):
    server, engine = serve(lambda n, body: good())
    stream = engine.complete(ask(f"r{i}") for i in range(1000))
    next(stream)
    stream.close()
    count = len(server.seen)
    time.sleep(0.1)
    assert len(server.seen) == count < 20
