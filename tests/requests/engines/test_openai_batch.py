"""The engine for the Batch API with an HTTP server on loopback: submitted, polled, and resumed after interruptions."""

import json
import threading
from pathlib import Path

import pytest
from batch_server import BatchServer
from completing import completed
from model_server import failure, good
from openai_requests import KEY, ask

from polypref.config.sections import Checkpoint
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.asking import RequestSettings
from polypref.requests.engines import EngineError, openai_batch
from polypref.requests.engines.openai_batch import open_engine
from polypref.requests.generate import ask_responses


def echo(body):
    status, _, reply = good(body["messages"][0]["content"].upper())
    return status, reply


@pytest.fixture
def serve(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(openai_batch, "FIRST_POLL_S", 0.01)
    servers = []

    def start(script=echo, **changes):
        server = BatchServer(script, **changes)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def checkpoint(server: BatchServer, **changes) -> Checkpoint:
    runtime = {"batch_api": True, "max_retries": 0, "timeout_s": 5, "max_error_share": 1.0}
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return Checkpoint(engine="openai", path="m", base_url=url, runtime=runtime, **changes)


def engine_for(server: BatchServer, folder: Path, **changes):
    return open_engine(checkpoint(server, **changes), "m", None, folder)


def requests(count: int = 5):
    return [ask(f"r{n}", f"text {n}") for n in range(count)]


def test_one_file_one_batch_and_half_the_price(serve, tmp_path):
    server = serve()
    engine = engine_for(server, tmp_path, price={"input": 2.5, "output": 10}, extra_body={"reasoning_effort": "low"})
    asked = [ask(f"r{n}", f"text {n}", extra_body={"reasoning_effort": "low"}) for n in range(5)]
    got = {c.request_id: c for c in engine.complete(asked)}
    assert {name: c.text for name, c in got.items()} == {f"r{n}": f"TEXT {n}" for n in range(5)}
    assert got["r0"].cost_usd == pytest.approx((10 * 2.5 + 5 * 10) / 1e6 / 2)
    assert len(server.batches) == 1 and server.keys == {f"Bearer {KEY}"}
    line = json.loads(server.files["file-0"].splitlines()[0])
    assert (line["custom_id"], line["method"], line["url"]) == ("r0", "POST", "/v1/chat/completions")
    assert line["body"] == {
        "model": "m", "messages": [{"role": "user", "content": "text 0"}], "max_tokens": 20, "temperature": 0.0,
        "reasoning_effort": "low",
    }  # fmt: skip
    assert len(list((tmp_path / "batch_api").iterdir())) == 1, "recorded until the completions are stored"
    engine.close()
    assert not list((tmp_path / "batch_api").iterdir())


def test_files_within_the_servers_limits(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(openai_batch, "MOST_REQUESTS", 2)
    server = serve()
    assert len(list(engine_for(server, tmp_path).complete(requests()))) == 5 and len(server.batches) == 3
    monkeypatch.setattr(openai_batch, "MOST_BYTES", 10)
    assert len(list(engine_for(server, tmp_path / "2").complete(requests()))) == 5 and len(server.batches) == 8


@pytest.mark.parametrize("moment", ["while it waits", "before it knows the batch", "before the rows are stored"])
def test_an_interrupted_run_pays_once(serve, tmp_path, moment):
    server = serve()
    engine = engine_for(server, tmp_path)
    if moment == "while it waits":

        def interrupt(_):
            raise KeyboardInterrupt

        engine.sleep = interrupt
        with pytest.raises(KeyboardInterrupt):
            list(engine.complete(requests()))
        engine.close()
    elif moment == "before it knows the batch":
        server.lost = 1
        with pytest.raises(EngineError, match="not lost"):
            list(engine.complete(requests()))
        engine.close()
    else:
        list(engine.complete(requests()))  # killed here: neither closed nor stored
    got = {c.request_id: c.text for c in engine_for(server, tmp_path).complete(requests(7))}
    assert got == {f"r{n}": f"TEXT {n}" for n in range(7)}
    sent = [len(server.files[batch["input_file_id"]].splitlines()) for batch in server.batches.values()]
    assert sent == [5, 2], "only the two new requests are sent"


def test_an_expired_batch_keeps_what_it_completed_and_the_rest_is_sent_again(serve, tmp_path):
    server = serve(ends="expired")
    engine = engine_for(server, tmp_path)
    got = {c.request_id: c for c in engine.complete(requests(6))}
    engine.close()
    failed = [c for c in got.values() if c.error]
    assert len(failed) == 3 and not any(c.permanent for c in failed)
    assert failed[0].error == "the batch has the status expired and no completion for this request"
    server.ends = "completed"
    again = [ask(c.request_id, "again") for c in failed]
    assert [c.text for c in engine_for(server, tmp_path).complete(again)] == ["AGAIN"] * 3


def test_rejected_requests_are_errors_of_their_rows(serve, tmp_path):
    def script(body):
        content = body["messages"][0]["content"]
        if content == "text 1":
            return 400, failure(400, f"too long, key {KEY}")[2]
        if content == "text 2":
            return 500, failure(500, "overloaded")[2]
        return (200, {"choices": "nonsense"}) if content == "text 3" else echo(body)

    got = {c.request_id: c for c in engine_for(serve(script), tmp_path).complete(requests())}
    assert got["r0"].text == "TEXT 0" and got["r4"].error is None
    assert got["r1"].permanent and got["r1"].error == "HTTP 400: too long, key ***"
    assert not got["r2"].permanent and not got["r3"].permanent and "invalid reply" in got["r3"].error


def test_a_batch_that_the_server_rejects_stops_the_run(serve, tmp_path):
    engine = engine_for(serve(ends="failed"), tmp_path)
    with pytest.raises(EngineError, match="failed: line 1: no such model"):
        list(engine.complete(requests()))
    assert not list((tmp_path / "batch_api").iterdir()), "the next run submits a new one"


def test_a_parameter_that_the_model_refuses_stops_the_run(serve, tmp_path):
    message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    server = serve(lambda body: (400, failure(400, message, code="unsupported_parameter")[2]))
    with pytest.raises(EngineError, match="limit_field: max_completion_tokens"):
        list(engine_for(server, tmp_path).complete(requests()))


def test_the_budget_limits_what_is_sent(serve, tmp_path):
    price = {"input": 0, "output": 2e6}  # a request may cost 20 USD, half of its price in the chat API
    server = serve()
    got = list(engine_for(server, tmp_path, price=price, max_cost_usd=50).complete(requests()))
    assert len(server.files["file-0"].splitlines()) == 2
    assert sum("max_cost_usd" in (c.error or "") for c in got) == 3


def test_a_batch_of_the_workflow(serve, tmp_path):
    """Through ``complete`` with its row store; the second run finds everything there."""
    settings = RequestSettings("m", "m", None, False, {"temperature": 0.0, "max_tokens": 8})
    write_table(tmp_path / "1", ask_responses([{"item_id": p, "prompt": p} for p in "abc"], settings, "de"), REQUESTS)
    server, store = serve(), tmp_path / "store"
    rows, run = completed([str(tmp_path / "1")], store, checkpoint(server))
    assert [row["text"] for row in rows] == ["A", "B", "C"] and run["engine_starts"] == 1
    again, run = completed([str(tmp_path / "1")], store, checkpoint(server))
    assert again == rows and run["engine_starts"] == 0 and len(server.batches) == 1
