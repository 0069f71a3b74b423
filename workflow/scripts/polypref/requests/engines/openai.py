"""OpenAI and any endpoint that speaks its chat API: GPT-4o, GPT-3.5 Turbo, a vLLM server.

Requests run in ``runtime.concurrency`` threads. The client's own retries are off: those here also cover broken bodies,
can be interrupted, and ask the budget before an attempt that may be charged again.
"""

from __future__ import annotations

import email.utils
import math
import os
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from polypref.requests.engines import Completion, EngineError, Request
from polypref.requests.engines.budget import Budget
from polypref.requests.engines.openai_replies import (
    BrokenReply,
    completion_of,
    read_reply,
    refused_parameter,
    remedy_for,
)

OPENAI = "https://api.openai.com/v1"
BACKOFF_S, LONGEST_BACKOFF_S, LONGEST_RETRY_AFTER_S = 0.5, 60.0, 900.0


def open_engine(checkpoint: Any, path: str, revision: str | None) -> OpenAIEngine:
    """Make a client of the endpoint (see :func:`.open_engine`); ``path`` is the API's model name.

    The key is read from the environment variable ``api_key_env``. An endpoint of one's own (``base_url``) may need
    none.

    Raises
    ------
    EngineError
        There is no key, or ``max_cost_usd`` is set without a price to count with.
    """
    import openai

    key = os.environ.get(checkpoint.api_key_env)
    if not key and checkpoint.base_url is None:
        raise EngineError(f"{path}: no API key. Set the environment variable {checkpoint.api_key_env}.")
    if checkpoint.max_cost_usd is not None and checkpoint.price is None:
        raise EngineError(f"{path}: max_cost_usd needs `price: {{input: ..., output: ...}}` (USD per million tokens).")
    # Given even where it is the default: or else the client would take it from OPENAI_BASE_URL.
    client = openai.OpenAI(
        api_key=key or "none",
        base_url=checkpoint.base_url or OPENAI,
        timeout=checkpoint.runtime.timeout_s,
        max_retries=0,
    )
    budget = Budget(checkpoint.price, checkpoint.max_cost_usd)
    return OpenAIEngine(client, path, key, checkpoint.api_key_env, budget, checkpoint.runtime, checkpoint.limit_field)


class _Passing(Exception):
    """An attempt failed in a way that may pass; ``charged`` when the answer may have been made and billed."""

    def __init__(self, reason: str, charged: bool, headers: Mapping[str, str] | None = None):
        super().__init__(reason)
        self.charged, self.headers = charged, headers or {}


class OpenAIEngine:
    """A client of one endpoint and model (see :class:`polypref.requests.engines.Engine`)."""

    def __init__(
        self,
        client: Any,
        model: str,
        key: str | None,
        key_name: str,
        budget: Budget,
        runtime: Any,
        limit_field: str | None = None,
    ):
        self.client, self.model, self.budget = client, model, budget
        self.concurrency, self.max_retries = runtime.concurrency, runtime.max_retries
        self._key, self._key_name = key, key_name
        self._limit_name = limit_field or default_limit_field(str(client.base_url))

    def answer(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request as soon as it is there.

        ``choices`` are not enforced: the caller reads the text. Rate limits, server errors, timeouts, dropped
        connections and broken bodies are tried ``max_retries`` times more, after what Retry-After says or an
        exponential backoff with jitter; then they are errors that may pass. What the server refuses for good is a
        permanent error. Requests that could pass ``max_cost_usd`` are not sent.

        Raises
        ------
        EngineError
            The key is refused or has no credit, or the model refuses a parameter, as it would in every request.
            Whatever was answered by then has been yielded.
        """
        source, stop = iter(requests), threading.Event()
        pending: dict[Future[Completion], float] = {}
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="openai")
        waiting: Request | None = None
        fatal: EngineError | None = None
        try:
            while True:
                while fatal is None and len(pending) < self.concurrency:
                    waiting = waiting or next(source, None)
                    if waiting is None:
                        break
                    worst = self.budget.worst_case(waiting)
                    if self.budget.reserve(worst):
                        pending[pool.submit(self._ask, waiting, worst, stop)] = worst
                    elif pending:
                        break  # what is under way may cost less than was set aside for it
                    else:
                        yield Completion(waiting.request_id, error=self.budget.refusal(worst), permanent=False)
                    waiting = None
                if not pending:
                    break
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    del pending[future]
                    try:
                        yield future.result()
                    except EngineError as error:
                        fatal = fatal or error
                        stop.set()
            if fatal is not None:
                raise fatal
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _ask(self, request: Request, worst: float, stop: threading.Event) -> Completion:
        """Answer one request, for which ``worst`` USD are set aside."""
        if request.decoding.get("beam_size", 1) > 1:
            self.budget.settle(worst, 0.0)
            return Completion(request.request_id, error="the chat API has no beam search")
        for attempt in range(self.max_retries + 1):
            try:
                completion = self._attempt(request)
            except _Passing as error:
                # An answer that got lost may be on the bill: against the limit it counts in full.
                self.budget.settle(worst, worst if error.charged else 0.0)
                reason, delay = str(error), delay_s(attempt, error.headers)
                if attempt == self.max_retries or delay > LONGEST_RETRY_AFTER_S:
                    break
                if stop.wait(delay):
                    break
                if not self.budget.reserve(worst):
                    reason += f"; {self.budget.refusal(worst)}"
                    break
            except BaseException:
                self.budget.settle(worst, 0.0)
                raise
            else:
                self.budget.settle(worst, completion.cost_usd)
                return completion
        error = f"{reason} (after {attempt + 1} attempts)"
        return Completion(request.request_id, error=error, permanent=False)

    def _attempt(self, request: Request) -> Completion:
        import openai

        try:
            response = self.client.chat.completions.create(**self._arguments(request))
        except openai.APITimeoutError:
            raise _Passing("timeout", charged=True) from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            raise _Passing(f"connection failed ({cause})", charged=cause != "ConnectError") from None
        except openai.APIStatusError as error:
            return self._refused(request, error)
        except (ValueError, openai.OpenAIError) as error:  # a body that is no JSON, or not of this API
            raise _Passing(f"broken answer: {self._clean(error)}", charged=True) from None
        return self._completion(request, response)

    def _arguments(self, request: Request) -> dict[str, Any]:
        decoding = request.decoding
        given = {name: decoding[name] for name in ("temperature", "top_p", "seed") if decoding.get(name) is not None}
        if decoding.get("stop"):
            given["stop"] = decoding["stop"]
        body = {self._limit_name: decoding["max_tokens"], **given}
        extra = dict(decoding.get("extra_body") or {})
        if decoding.get("reasoning") == "off":
            extra["chat_template_kwargs"] = {**(extra.get("chat_template_kwargs") or {}), "enable_thinking": False}
        arguments = {
            "model": self.model,
            "messages": request.messages,
            **{name: value for name, value in body.items() if name not in extra},
        }
        if given_extra := {name: value for name, value in extra.items() if value is not None}:
            arguments["extra_body"] = given_extra
        return arguments

    def _completion(self, request: Request, response: Any) -> Completion:
        """The completion in a response, whose fields the client does not check."""
        try:
            fields = read_reply(request, response)
        except BrokenReply as error:
            raise _Passing(self._clean(error), charged=error.charged) from None
        if "error" in fields:
            fields["error"] = self._clean(fields["error"])
        return completion_of(request, fields, self.budget.cost(fields["prompt_tokens"], fields["completion_tokens"]))

    def _refused(self, request: Request, error: Any) -> Completion:
        """What an HTTP error means: a permanent error, one that may pass (raised), or the end of the batch (raised)."""
        status, code = error.status_code, error.code
        if status in (401, 403):
            # The server's text is left out: it quotes parts of the key.
            raise EngineError(
                f"{self.client.base_url.host}: HTTP {status}: the key in {self._key_name} is refused for "
                f"{self.model}. Set a valid key, or choose a model that it may use."
            ) from None
        if code == "insufficient_quota":
            raise EngineError(f"{self.client.base_url.host}: the account of {self._key_name} has no credit.") from None
        reason = f"HTTP {status}: {self._clean(error.message)}"
        sent = self._arguments(request)
        parameter = refused_parameter(status, code, getattr(error, "param", None), str(error.message), sent)
        if parameter:
            raise EngineError(
                f"{self.client.base_url.host}: {self.model} refuses the parameter {parameter}. {remedy_for(parameter)} "
                f"The server's reply: {reason}"
            ) from None
        if status in (408, 409, 425, 429) or status >= 500:
            raise _Passing(reason, charged=False, headers=error.response.headers) from None
        # 404 is a wrong model name or address: a corrected registry may well be answered.
        return Completion(request.request_id, error=reason, permanent=status != 404)

    def _clean(self, text: object) -> str:
        """Text of the server in one line of at most 300 characters, without the key or anything that looks like one."""
        line = " ".join(str(text).split())
        if self._key:  # a short placeholder, as local servers take it, is not a secret inside of words
            key = re.escape(self._key)
            line = re.sub(key if len(self._key) >= 8 else rf"\b{key}\b", "***", line)
        return re.sub(r"\b(sk-|Bearer )[\w*.-]{4,}", r"\1***", line)[:300]


def default_limit_field(base_url: str) -> str:
    """Name of the parameter that limits the tokens of an answer.

    OpenAI, also on Azure, deprecated ``max_tokens``, which its reasoning models refuse; most other servers know no
    other name.
    """
    host = urlsplit(base_url).hostname or ""
    openai = host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
    return "max_completion_tokens" if openai else "max_tokens"


def delay_s(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds to wait before the next attempt.

    Parameters
    ----------
    attempt : int
        Attempts that failed before this one.
    headers : mapping
        Of the response, if there was one. ``retry-after-ms`` and ``retry-after`` (seconds or an HTTP date) decide,
        where they can be read; else an exponential backoff with jitter does.
    """
    backoff = min(BACKOFF_S * 2**attempt, LONGEST_BACKOFF_S) * random.uniform(0.5, 1)
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            asked = float(value) * scale
        except ValueError:
            try:
                asked = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if not math.isnan(asked):
            # A little more than asked for, so that all do not come back in the same instant.
            return max(asked, 0.0) + min(backoff, 1.0)
    return backoff
