"""The limit on the cost of a batch, with a server on loopback."""

import pytest
from completing import completed
from model_server import good
from openai_requests import ask, one

from polypref.config.sections import Checkpoint
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.asking import RequestSettings
from polypref.requests.engines import EngineError
from polypref.requests.engines.budget import Budget
from polypref.requests.generate import ask_responses


def test_the_limit_is_never_exceeded(serve):
    price = {"input": 1000, "output": 1000}  # 0.015 USD per answer, 0.086 to set aside
    server, engine = serve(lambda n, body: good(), price=price, max_cost_usd=0.2)
    got = list(engine.complete([ask(f"r{i}") for i in range(30)]))
    assert len(got) == 30
    spent = sum(c.cost_usd for c in got)
    assert 0 < spent <= 0.2
    refused = [c for c in got if c.error]
    assert len(server.seen) == 30 - len(refused)
    assert all("max_cost_usd" in c.error and not c.permanent for c in refused)
    assert spent + 0.086 > 0.2, "it continues as long as the next request fits"
    assert engine.budget.reserved == pytest.approx(0)


def test_lost_replies_count_towards_the_limit(serve):
    price = {"input": 1000, "output": 1000}
    server, engine = serve(lambda n, body: (None, {}, None), price=price, max_cost_usd=0.2)
    completion = one(engine)
    assert not completion.permanent
    assert len(server.seen) == 2
    assert engine.budget.spent <= 0.2


def test_the_limit_holds_for_a_batch_over_all_its_runs(serve, tmp_path):
    """Each run may only spend what earlier runs left, even if one was killed before it reported its cost."""
    price = {"input": 1000, "output": 1000}  # 0.015 USD per answer, 0.086 to set aside
    server, engine = serve(lambda n, body: good(), price=price)
    base_url = str(engine.client.base_url)
    runtime = {"concurrency": 1, "max_error_share": 1.0}
    checkpoint = Checkpoint(
        engine="openai", path="m", base_url=base_url, price=price, max_cost_usd=0.15, runtime=runtime
    )
    asked = RequestSettings("m", "m", None, False, {"max_tokens": 20, "temperature": 0.0})

    def run(count: int) -> list[dict]:
        rows = ask_responses([{"item_id": str(n), "prompt": f"q{n}"} for n in range(count)], asked, "de")
        write_table(tmp_path / "requests", rows, REQUESTS)
        return completed([str(tmp_path / "requests")], tmp_path / "store", checkpoint)[0]

    assert sum(row["cost_usd"] for row in run(3)) == pytest.approx(0.045)
    (tmp_path / "store/runs.jsonl").unlink()  # as a kill -9 leaves it
    rows = run(20)
    answered = [row for row in rows if row["error"] is None]
    assert len(answered) == 5 and sum(row["cost_usd"] for row in answered) <= 0.15
    assert all("of max_cost_usd are left" in row["error"] for row in rows[5:])
    run(20)
    assert len(server.seen) == 5, "no budget is left for a third run"


def test_a_limit_needs_a_price(serve):
    with pytest.raises(EngineError, match="price"):
        serve(lambda n, body: good(), max_cost_usd=1)


def test_budget_counts_bytes_as_tokens():
    budget = Budget(type("Price", (), {"input": 1.0, "output": 2.0}), None)
    assert budget.worst_case(ask(content="ß" * 100)) >= (200 + 2 * 20) / 1e6
