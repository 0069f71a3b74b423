"""A batch starts its engine once if completions are missing and not at all otherwise; failed requests are retried."""

import io
import json

import pytest
from completing import completed

from polypref.config.sections import Checkpoint
from polypref.files.digests import seed_of
from polypref.files.schemas import COMPLETIONS, REQUESTS
from polypref.files.table_writer import write_table
from polypref.files.tables import TableError
from polypref.requests import complete as completing
from polypref.requests.asking import RequestSettings
from polypref.requests.engines import Completion, EngineError
from polypref.requests.generate import ask_responses
from polypref.requests.row_store import RowStore
from polypref.requests.sharding import split
from polypref.running.logs import Terminal
from polypref.running.runs import cost_so_far

CHECKPOINT = Checkpoint(engine="vllm", path="owner/name", runtime={"max_error_share": 0.5})


class Echo:
    """An engine that returns the prompt, fails for the prompts in ``fails``, and records its requests."""

    def __init__(self, fails=(), stops_after=None):
        self.fails, self.stops_after, self.requests, self.starts, self.closed = set(fails), stops_after, [], 0, 0

    def __call__(self, *_):
        self.starts += 1
        return self

    def complete(self, requests):
        for n, request in enumerate(requests):
            if n == self.stops_after:
                raise KeyboardInterrupt
            text = request.messages[0]["content"]
            self.requests.append(request)
            if text in self.fails:
                yield Completion(request.request_id, error="refused")
            else:
                yield Completion(request.request_id, text, "stop", 1, 2)

    def close(self):
        self.closed += 1


def write_requests(path, prompts, temperature=0.0, revision="abc"):
    asked = RequestSettings("m", "owner/name", revision, False, {"temperature": temperature, "max_tokens": 8})
    write_table(path, ask_responses([{"item_id": p, "prompt": p} for p in prompts], asked, "de"), REQUESTS)
    return str(path)


def test_beam_search_and_sampling_are_two_engines_of_one_batch_one_after_the_other(tmp_path):
    started = []

    class Named(Echo):
        def __call__(self, checkpoint, path, revision, name, folder):
            assert len(started) == self.closed, "one engine at a time"
            started.append(name)
            return super().__call__()

    engine, files = Named(), []
    for number, decoding in enumerate(({"beam_size": 5}, {"temperature": 0.6}, {"beam_size": 1})):
        asked = RequestSettings("m", "owner/name", "abc", False, {"max_tokens": 8, **decoding})
        rows = ask_responses([{"item_id": p, "prompt": p} for p in ("a", "b")], asked, "de")
        write_table(tmp_path / str(number), rows, REQUESTS)
        files.append(str(tmp_path / str(number)))
    rows, run = completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    assert started == ["vllm", "transformers"] and engine.closed == 2
    assert [request.decoding.get("beam_size") for request in engine.requests] == [None, None, 1, 1, 5, 5]
    assert len(rows) == run["answered"] == 6 and run["engine_starts"] == 2
    assert all(row["error"] is None for row in rows)


def test_each_unique_request_is_completed_once(tmp_path):
    engine = Echo()
    files = [write_requests(tmp_path / "1", ["a", "b"]), write_requests(tmp_path / "2", ["b", "c"])]
    rows, run = completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    assert [row["text"] for row in rows] == ["a", "b", "b", "c"] and len(engine.requests) == 3
    assert (run["requests"], run["unique_requests"], run["answered"], run["engine_starts"]) == (4, 3, 3, 1)
    assert engine.closed == 1 and set(rows[0]) == set(COMPLETIONS.names)


def test_a_shard_reports_completed_and_reused_requests(tmp_path, monkeypatch):
    monkeypatch.setattr(completing, "open_engine", Echo())
    files, terminal = [write_requests(tmp_path / "1", ["a"])], Terminal(io.StringIO(), "judge/m 1/1", "m.log")
    (shard,) = split(1, files, tmp_path / "store", CHECKPOINT, "judge/m", str(tmp_path / "m.log"))
    counts = []
    with RowStore(tmp_path / "store"):
        for _ in range(2):
            completing.complete_shard(shard, terminal)
            run = json.loads(shard.outcome.read_text())["run"]
            counts.append((run["answered"], run["reused"], run["engine_starts"]))
    assert counts == [(1, 0, 1), (0, 1, 0)]


def test_the_engine_is_not_started_if_no_completion_is_missing(tmp_path):
    engine = Echo()
    files = [write_requests(tmp_path / "1", ["a", "b"])]
    first, _ = completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    second, run = completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    assert second == first and engine.starts == 1 and run["engine_starts"] == 0 and run["reused"] == 2


def test_only_missing_requests_are_sent_to_the_engine(tmp_path):
    engine = Echo()
    completed([write_requests(tmp_path / "1", ["a", "b"])], tmp_path / "store", CHECKPOINT, start=engine)
    completed([write_requests(tmp_path / "1", ["a", "changed"])], tmp_path / "store", CHECKPOINT, start=engine)
    assert [request.messages[0]["content"] for request in engine.requests] == ["a", "b", "changed"]


def test_an_interrupted_batch_resumes_where_it_stopped(tmp_path):
    files = [write_requests(tmp_path / "1", list("abcd"))]
    with pytest.raises(KeyboardInterrupt):
        completed(files, tmp_path / "store", CHECKPOINT, start=Echo(stops_after=2))
    engine = Echo()
    rows, _ = completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    assert [request.messages[0]["content"] for request in engine.requests] == ["c", "d"]
    assert [row["text"] for row in rows] == list("abcd")


def test_errors_are_rows_and_are_retried_in_the_next_run(tmp_path):
    files = [write_requests(tmp_path / "1", ["a", "b"])]
    rows, run = completed(files, tmp_path / "store", CHECKPOINT, start=Echo(fails=["b"]))
    assert (rows[1]["text"], rows[1]["error"], rows[1]["finish_reason"]) == ("", "refused", "error")
    assert run["errors"] == 1
    engine = Echo()
    rows, _ = completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    assert len(engine.requests) == 1 and rows[1]["error"] is None


def test_too_many_errors_fail_the_batch_and_keep_its_completions(tmp_path):
    files = [write_requests(tmp_path / "1", list("abcd"))]
    with pytest.raises(EngineError, match=r"3 of 4 requests failed, more than 50%.*3 of them: refused \(.*1, row 2\)"):
        completed(files, tmp_path / "store", CHECKPOINT, start=Echo(fails="bcd"))
    engine = Echo()
    completed(files, tmp_path / "store", CHECKPOINT, start=engine)
    assert [request.messages[0]["content"] for request in engine.requests] == list("bcd")


def test_the_cost_of_a_failed_run_is_counted(tmp_path):
    files, store = [write_requests(tmp_path / "1", list("abcd"))], tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        completed(files, store, CHECKPOINT, start=Echo(stops_after=2))
    _, run = completed(files, store, CHECKPOINT, start=Echo())
    cost = cost_so_far(store, "answer", "m", "vllm", run)
    assert (cost["answered"], cost["engine_starts"], cost["completion_tokens"]) == (4, 2, 8)


def test_an_engine_that_skips_requests_is_an_error(tmp_path):
    class Forgetful(Echo):
        def complete(self, requests):
            yield from list(super().complete(requests))[1:]

    with pytest.raises(EngineError, match="returned no completion for 1 requests"):
        completed([write_requests(tmp_path / "1", ["a", "b"])], tmp_path / "store", CHECKPOINT, start=Forgetful())


def test_each_sampled_request_has_its_own_seed_and_greedy_requests_have_none(tmp_path):
    engine = Echo()
    completed(
        [write_requests(tmp_path / "1", ["a", "b"], temperature=0.7)], tmp_path / "store", CHECKPOINT, start=engine
    )
    seeds = [request.decoding["seed"] for request in engine.requests]
    assert seeds == [seed_of(request.request_id) for request in engine.requests] and len(set(seeds)) == 2
    greedy = Echo()
    completed([write_requests(tmp_path / "2", ["a"])], tmp_path / "store2", CHECKPOINT, start=greedy)
    assert "seed" not in greedy.requests[0].decoding


def test_a_batch_has_one_checkpoint(tmp_path):
    files = [write_requests(tmp_path / "1", ["a"]), write_requests(tmp_path / "2", ["b"], revision="other")]
    with pytest.raises(TableError, match="several checkpoints: owner/name at abc; owner/name at other"):
        completed(files, tmp_path / "store", CHECKPOINT, start=Echo())


def test_cost_adds_up_over_runs(tmp_path):
    store = tmp_path / "store"
    for prompts in (["a", "b"], ["a", "b", "c"]):
        _, run = completed([write_requests(tmp_path / "1", prompts)], store, CHECKPOINT, start=Echo())
    cost = cost_so_far(store, "answer", "m", "vllm", run)
    assert (cost["answered"], cost["completion_tokens"], cost["engine_starts"], cost["reused"]) == (3, 6, 2, 2)
    assert len(cost["runs"]) == 2


def test_shards_complete_their_own_requests_and_the_batch_collects_them(tmp_path, monkeypatch):
    engines = []

    def start(*_):
        engines.append(Echo(fails=["c"]))
        return engines[-1]

    def in_this_process(shards, *_):
        for shard in shards:
            completing.complete_shard(shard, terminal)
            outcome = json.loads(shard.outcome.read_text())
            shard.outcome.unlink()
            yield shard, outcome if shard.index < running else None

    monkeypatch.setattr(completing, "open_engine", start)
    monkeypatch.setattr(completing, "run_shards", in_this_process)
    terminal = Terminal(io.StringIO(), "judge/m", str(tmp_path / "m.log"))
    prompts = list("abcdefgh")
    files = [write_requests(tmp_path / "1", prompts[:5]), write_requests(tmp_path / "2", prompts[3:])]
    checkpoint = CHECKPOINT.model_copy(update={"runtime": CHECKPOINT.runtime.model_copy(update={"shards": 3})})
    running = 2
    with pytest.raises(EngineError, match="1 of 3 shards failed; all completions so far are in the row store"):
        completed(files, tmp_path / "store", checkpoint, terminal=terminal)
    sent = [[request.messages[0]["content"] for request in engine.requests] for engine in engines]
    assert sorted(prompt for each in sent for prompt in each) == prompts and all(sent)
    running = 3
    rows, run = completed(files, tmp_path / "store", checkpoint, terminal=terminal)
    assert [row["text"] for row in rows] == ["a", "b", "", *"de", *"defgh"]
    assert (run["answered"], run["reused"], run["errors"]) == (1, 7, 1)
