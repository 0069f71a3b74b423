"""Engine for OpenAI's chat API and compatible endpoints, such as a vLLM server.

Requests run in ``runtime.concurrency`` threads. The client's own retries are disabled. The retries of this engine also
cover invalid responses, can be interrupted, and check the budget before an attempt that may be charged again.
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
    """Create a client for the endpoint (see :func:`.open_engine`); ``path`` is the API's model name.

    The key is read from the environment variable ``api_key_env``. It is optional if ``base_url`` is set.

    Raises
    ------
    EngineError
        There is no key, or ``max_cost_usd`` is set without a price.
    """
    import openai

    key = os.environ.get(checkpoint.api_key_env)
    if not key and checkpoint.base_url is None:
        raise EngineError(f"{path}: no API key. Set the environment variable {checkpoint.api_key_env}.")
    if checkpoint.max_cost_usd is not None and checkpoint.price is None:
        raise EngineError(f"{path}: max_cost_usd needs `price: {{input: ..., output: ...}}` (USD per million tokens).")
    # Always set base_url, because the client would otherwise read it from OPENAI_BASE_URL.
    client = openai.OpenAI(
        api_key=key or "none",
        base_url=checkpoint.base_url or OPENAI,
        timeout=checkpoint.runtime.timeout_s,
        max_retries=0,
    )
    budget = Budget(checkpoint.price, checkpoint.max_cost_usd)
    return OpenAIEngine(client, path, key, checkpoint.api_key_env, budget, checkpoint.runtime, checkpoint.limit_field)


class _Passing(Exception):
    """A temporary failure of an attempt; ``charged`` if the server may have charged for it."""

    def __init__(self, reason: str, charged: bool, headers: Mapping[str, str] | None = None):
        super().__init__(reason)
        self.charged, self.headers = charged, headers or {}


class OpenAIEngine:
    """A client for one endpoint and model (see :class:`polypref.requests.engines.Engine`)."""

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
        self.key_name, self._key = key_name, key
        self._limit_name = limit_field or default_limit_field(str(client.base_url))

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request as soon as it is available.

        ``choices`` are not enforced, so the caller has to parse the text. After rate limits, server errors, timeouts,
        connection errors and invalid responses, a request is retried up to ``max_retries`` times. The delay is that of
        the Retry-After header, or an exponential backoff with jitter. If the last retry fails, the completion is a
        temporary error. A request that the server rejects is a permanent error. Requests that could exceed
        ``max_cost_usd`` are not sent.

        Raises
        ------
        EngineError
            The key is invalid or has no credit, or the model does not support a parameter that every request has.
            Earlier completions have already been yielded.
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
                        break  # the pending requests may cost less than their reserved amounts
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
        """Send one request, for which ``worst`` USD are reserved, and retry it if necessary."""
        if request.decoding.get("beam_size", 1) > 1:
            self.budget.settle(worst, 0.0)
            return Completion(request.request_id, error="the chat API has no beam search")
        for attempt in range(self.max_retries + 1):
            try:
                completion = self._attempt(request)
            except _Passing as error:
                # The server may have charged for a lost reply, so its maximum cost is counted.
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
            response = self.client.chat.completions.create(**self.arguments(request))
        except openai.APITimeoutError:
            raise _Passing("timeout", charged=True) from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            raise _Passing(f"connection failed ({cause})", charged=cause != "ConnectError") from None
        except openai.APIStatusError as error:
            return self._refused(request, error)
        except (ValueError, openai.OpenAIError) as error:  # the response is not JSON, or not of this API
            raise _Passing(f"broken answer: {self.clean(error)}", charged=True) from None
        return self._completion(request, response)

    def arguments(self, request: Request) -> dict[str, Any]:
        """Return the arguments of the client's ``create`` for a request."""
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
        """Convert a response, whose fields the client does not validate, to a completion."""
        try:
            fields = read_reply(request, response)
        except BrokenReply as error:
            raise _Passing(self.clean(error), charged=error.charged) from None
        if "error" in fields:
            fields["error"] = self.clean(fields["error"])
        return completion_of(request, fields, self.budget.cost(fields["prompt_tokens"], fields["completion_tokens"]))

    def _refused(self, request: Request, error: Any) -> Completion:
        """Return a permanent HTTP error as a completion; raise temporary errors and errors that end the batch."""
        status, code = error.status_code, error.code
        if status in (401, 403):
            # Omit the server's message, because it quotes parts of the key.
            raise EngineError(
                f"{self.client.base_url.host}: HTTP {status}: the key in {self.key_name} is rejected for "
                f"{self.model}. Set a valid key, or choose a model that it may use."
            ) from None
        if code == "insufficient_quota":
            raise EngineError(f"{self.client.base_url.host}: the account of {self.key_name} has no credit.") from None
        reason = f"HTTP {status}: {self.clean(error.message)}"
        sent = self.arguments(request)
        parameter = refused_parameter(status, code, getattr(error, "param", None), str(error.message), sent)
        if parameter:
            raise EngineError(
                f"{self.client.base_url.host}: {self.model} rejects the parameter {parameter}. {remedy_for(parameter)} "
                f"The server's reply: {reason}"
            ) from None
        if status in (408, 409, 425, 429) or status >= 500:
            raise _Passing(reason, charged=False, headers=error.response.headers) from None
        # 404 means a wrong model name or address, which can be corrected in the registry.
        return Completion(request.request_id, error=reason, permanent=status != 404)

    def clean(self, text: object) -> str:
        """Return a server's message as one line of at most 300 characters, without keys."""
        line = " ".join(str(text).split())
        if self._key:  # a short key is a placeholder for a local server: match it only as a whole word
            key = re.escape(self._key)
            line = re.sub(key if len(self._key) >= 8 else rf"\b{key}\b", "***", line)
        return re.sub(r"\b(sk-|Bearer )[\w*.-]{4,}", r"\1***", line)[:300]


def default_limit_field(base_url: str) -> str:
    """Return the name of the parameter that limits the number of tokens.

    OpenAI, also on Azure, has deprecated ``max_tokens``, which its reasoning models reject. Most other servers support
    only ``max_tokens``.
    """
    host = urlsplit(base_url).hostname or ""
    openai = host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
    return "max_completion_tokens" if openai else "max_tokens"


def delay_s(attempt: int, headers: Mapping[str, str]) -> float:
    """Return the delay before the next attempt, in seconds.

    Parameters
    ----------
    attempt : int
        Number of earlier failed attempts.
    headers : mapping
        Headers of the response, if there was one. A valid ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP
        date) sets the delay; otherwise it is an exponential backoff with jitter.
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
            # Add some jitter, so that not all requests are retried at the same moment.
            return max(asked, 0.0) + min(backoff, 1.0)
    return backoff
