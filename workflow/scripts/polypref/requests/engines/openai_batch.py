"""Engine for OpenAI's Batch API and compatible endpoints: files of requests that the server completes within a day.

Each submitted file is recorded in the row store's folder before it is sent. A run that was interrupted, at any moment,
finds its batches on the server and collects them, instead of paying for the same requests twice.

Source of the protocol, the limits and the price: OpenAI's documentation of the Batch API.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from polypref.files.digests import digest
from polypref.files.tables import atomic_write
from polypref.requests.engines import Completion, EngineError, Request
from polypref.requests.engines.openai import OpenAIEngine
from polypref.requests.engines.openai import open_engine as open_chat_engine
from polypref.requests.engines.openai_replies import (
    BrokenReply,
    completion_of,
    read_reply,
    refused_parameter,
    remedy_for,
)

DISCOUNT = 0.5
"""Price of a request in a batch, relative to its price in the chat API."""
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
"""Limits of a file of requests."""
FIRST_POLL_S, LONGEST_POLL_S = 2.0, 60.0
ENDPOINT = "/v1/chat/completions"
FOLDER = "batch_api"
"""Folder within the row store with a file per submitted batch."""
METADATA = "polypref"
"""Key of a batch's metadata whose value identifies the file of requests."""
DONE = ("completed", "expired", "cancelled")
TEMPORARY = (404, 408, 409, 425, 429)
"""Status codes after which a request may succeed later, besides those of server errors."""


def open_engine(checkpoint: Any, path: str, revision: str | None, folder: Path) -> OpenAIBatchEngine:
    """Create a client for the endpoint (see :func:`polypref.requests.engines.open_engine`).

    ``folder`` is that of the batch's row store. The key and the errors are those of the chat API's engine.
    """
    if checkpoint.price is not None:
        price = {name: DISCOUNT * value for name, value in checkpoint.price.model_dump().items()}
        checkpoint = checkpoint.model_copy(update={"price": checkpoint.price.model_copy(update=price)})
    return OpenAIBatchEngine(open_chat_engine(checkpoint, path, revision), folder / FOLDER)


class OpenAIBatchEngine:
    """A client for the Batch API of one endpoint (see :class:`polypref.requests.engines.Engine`)."""

    def __init__(self, chat: OpenAIEngine, folder: Path, sleep: Callable[[float], Any] = time.sleep):
        self.chat, self.folder, self.sleep = chat, folder, sleep
        self.client = chat.client.with_options(max_retries=chat.max_retries)
        self._collected: list[Path] = []
        self._states: dict[str, str] = {}

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request, a batch at a time, after it has ended on the server.

        Batches that an earlier run submitted are collected first; only the requests that are in none of them are
        submitted. Requests of a batch that expired are temporary errors. Requests that could exceed ``max_cost_usd``
        are not sent.

        Raises
        ------
        EngineError
            The key is invalid, the server rejects a file of requests, or the model does not support a parameter. The
            other completions have already been yielded.
        """
        import openai

        missing = {request.request_id: request for request in requests}
        refused: list[str] = []
        try:
            submitted, ours = self._resume(missing)
            yield from self._submit([r for name, r in missing.items() if name not in ours], submitted)
            pending, delay = dict(submitted), FIRST_POLL_S
            while pending:
                for path, number in list(pending.items()):
                    batch = self.client.batches.retrieve(number)
                    self._report(batch)
                    if batch.status == "failed":
                        path.unlink()
                        raise EngineError(f"{self._host}: the batch {number} failed: {self._reasons(batch)}")
                    if batch.status in DONE:
                        del pending[path]
                        yield from self._collect(path, batch, missing, refused)
                        self._collected.append(path)
                if pending:
                    self.sleep(delay)
                    delay = min(1.5 * delay, LONGEST_POLL_S)
        except openai.AuthenticationError:
            raise EngineError(f"{self._host}: the key in {self.chat.key_name} is rejected. Set a valid key.") from None
        except openai.OpenAIError as error:
            raise EngineError(
                f"{self._host}: {self.chat.clean(error)}. Batches that were submitted are not lost: run the same "
                "command again to collect them."
            ) from None
        if refused:
            raise EngineError(refused[0])

    def close(self) -> None:
        """Close the connections, and delete the records of batches whose completions are in the row store by now."""
        for path in self._collected:
            path.unlink(missing_ok=True)
        self.chat.close()

    def _report(self, batch: Any) -> None:
        """Write the state of a batch to the log if it has changed."""
        counts = batch.request_counts
        state = f"batch {batch.id}: {batch.status}"
        state += f", {counts.completed:,} of {counts.total:,} requests completed" if counts else ""
        if self._states.get(batch.id) != state:
            self._states[batch.id] = state
            print(state, flush=True)

    @property
    def _host(self) -> str:
        return str(self.client.base_url.host)

    def _resume(self, missing: dict[str, Request]) -> tuple[dict[Path, str], set[str]]:
        """Find the batches of earlier runs: {record: batch id}, and the ids of their requests.

        If a run was killed while it submitted a batch, the batch's id was not recorded and is looked up on the server.
        """
        submitted: dict[Path, str] = {}
        ours: set[str] = set()
        for path in sorted(self.folder.glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            wanted = [name for name in record["requests"] if name in missing]
            number = record["batch"] or (self._find(path.stem) if wanted else None)
            if number is None or not wanted:
                path.unlink()  # it was not submitted, or all its completions are in the row store
                continue
            print(f"collecting the batch {number} of an earlier run", flush=True)
            submitted[path] = number
            ours.update(wanted)
            for name in wanted:
                self.chat.budget.reserve(self.chat.budget.worst_case(missing[name]))
        return submitted, ours

    def _find(self, key: str) -> str | None:
        for batch in self.client.batches.list():
            if (batch.metadata or {}).get(METADATA) == key and batch.status != "failed":
                return batch.id
        return None

    def _submit(self, requests: list[Request], submitted: dict[Path, str]) -> Iterator[Completion]:
        """Submit the requests that the budget allows, and yield the completions of those that are not sent."""
        names: list[str] = []
        lines: list[bytes] = []
        size = 0
        for request in requests:
            worst = self.chat.budget.worst_case(request)
            if request.decoding.get("beam_size", 1) > 1:
                yield Completion(request.request_id, error="the chat API has no beam search")
            elif not self.chat.budget.reserve(worst):
                yield Completion(request.request_id, error=self.chat.budget.refusal(worst), permanent=False)
            else:
                line = self._line(request)
                if lines and (len(lines) == MOST_REQUESTS or size + len(line) > MOST_BYTES):
                    self._send(names, lines, submitted)
                    names, lines, size = [], [], 0
                names.append(request.request_id)
                lines.append(line)
                size += len(line)
        if lines:
            self._send(names, lines, submitted)

    def _line(self, request: Request) -> bytes:
        arguments = self.chat.arguments(request)
        extra = arguments.pop("extra_body", {})
        line = {"custom_id": request.request_id, "method": "POST", "url": ENDPOINT, "body": {**arguments, **extra}}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    def _send(self, names: list[str], lines: list[bytes], submitted: dict[Path, str]) -> None:
        key = digest(time.time_ns(), *names)
        path = self.folder / f"{key}.json"
        self._record(path, None, names)
        file = self.client.files.create(file=(f"{key}.jsonl", b"".join(lines)), purpose="batch")
        batch = self.client.batches.create(
            input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata={METADATA: key}
        )
        self._record(path, batch.id, names)
        submitted[path] = batch.id
        print(f"submitted the batch {batch.id} with {len(names):,} requests", flush=True)

    def _record(self, path: Path, number: str | None, names: list[str]) -> None:
        with atomic_write(path, "w") as file:
            json.dump({"batch": number, "requests": names}, file)

    def _collect(self, path: Path, batch: Any, missing: dict[str, Request], refused: list[str]) -> Iterator[Completion]:
        """Yield the completions of a finished batch; append a message to ``refused`` if it rejected a parameter."""
        recorded = json.loads(path.read_text(encoding="utf-8"))["requests"]
        wanted = {name: missing[name] for name in recorded if name in missing}
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            for line in self.client.files.content(file_id).iter_lines():
                row = _mapping(json.loads(line)) if line.strip() else {}
                request = wanted.pop(row.get("custom_id"), None)
                if request is None:
                    continue
                completion = self._completion(request, row, refused)
                self.chat.budget.settle(self.chat.budget.worst_case(request), completion.cost_usd)
                yield completion
        for name, request in wanted.items():
            self.chat.budget.settle(self.chat.budget.worst_case(request), 0.0)
            yield Completion(
                name,
                error=f"the batch has the status {batch.status} and no completion for this request",
                permanent=False,
            )

    def _completion(self, request: Request, row: dict[str, Any], refused: list[str]) -> Completion:
        """Convert a line of the server's file, which is not validated, to a completion."""
        from openai.types.chat import ChatCompletion

        response = _mapping(row.get("response"))
        status, body = response.get("status_code"), _mapping(response.get("body"))
        error = _mapping(body.get("error") or row.get("error"))
        message = self.chat.clean(error.get("message") or error.get("code") or "no response")
        if status == 200 and not error:
            try:
                fields = read_reply(request, ChatCompletion.construct(**body))
            except BrokenReply as broken:
                return Completion(request.request_id, error=self.chat.clean(broken), permanent=False)
            if "error" in fields:
                fields["error"] = self.chat.clean(fields["error"])
            cost = self.chat.budget.cost(fields["prompt_tokens"], fields["completion_tokens"])
            return completion_of(request, fields, cost)
        if not isinstance(status, int):
            return Completion(request.request_id, error=message, permanent=False)
        sent = self.chat.arguments(request)
        parameter = refused_parameter(status, error.get("code"), error.get("param"), message, sent)
        if parameter and not refused:
            refused.append(
                f"{self._host}: {self.chat.model} rejects the parameter {parameter}. {remedy_for(parameter)} "
                f"The server's reply: {message}"
            )
        permanent = 400 <= status < 500 and status not in TEMPORARY
        return Completion(request.request_id, error=f"HTTP {status}: {message}", permanent=permanent)

    def _reasons(self, batch: Any) -> str:
        errors = getattr(batch.errors, "data", None) or []
        return "; ".join(self.chat.clean(error.message) for error in errors[:3]) or "the server gave no reason"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
