"""The cost of requests to an API, and its upper limit."""

from __future__ import annotations

import threading
from typing import Any

from polypref.requests.engines import Request

FRAME_TOKENS = 32
"""Upper limit of the tokens that a chat format adds to each message and to the conversation."""


class Budget:
    """Money that was spent or reserved; safe to use from several threads.

    Parameters
    ----------
    price : object with ``input`` and ``output``, or None
        Price in USD per million tokens; None means that requests are free.
    limit : float or None
        Maximum cost in USD; None means no limit.
    """

    def __init__(self, price: Any, limit: float | None):
        self.price, self.limit = price, limit
        self.spent = 0.0
        self.reserved = 0.0
        self._lock = threading.Lock()

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of the tokens in USD."""
        if self.price is None:
            return 0.0
        return (prompt_tokens * self.price.input + completion_tokens * self.price.output) / 1e6

    def worst_case(self, request: Request) -> float:
        """Return the maximum cost of a request in USD: one token per UTF-8 byte of the prompt, and ``max_tokens``."""
        size = sum(len(m["content"].encode("utf-8", "surrogatepass")) + FRAME_TOKENS for m in request.messages)
        return self.cost(size + FRAME_TOKENS, request.decoding["max_tokens"])

    def reserve(self, amount: float) -> bool:
        """Reserve an amount; return False and reserve nothing if the limit could be exceeded."""
        with self._lock:
            if self.limit is not None and self.spent + self.reserved + amount > self.limit:
                return False
            self.reserved += amount
            return True

    def settle(self, reserved: float, spent: float) -> None:
        """Replace a reserved amount by the amount that was spent."""
        with self._lock:
            self.reserved -= reserved
            self.spent += spent

    def refusal(self, amount: float) -> str:
        """Return the error of a request that was not sent."""
        left = (self.limit or 0.0) - self.spent
        return f"not sent: the request could cost {amount:.6f} USD, but only {left:.6f} of max_cost_usd are left"
