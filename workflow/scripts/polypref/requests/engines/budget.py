"""What requests to an API cost, and a limit that is never passed."""

from __future__ import annotations

import threading
from typing import Any

from polypref.requests.engines import Request

FRAME_TOKENS = 32
"""More than a chat format adds to a message, and to a conversation."""


class Budget:
    """Money spent and set aside, shared by threads.

    Parameters
    ----------
    price : object with ``input`` and ``output``, or None
        USD per million tokens; None counts nothing.
    limit : float or None
        USD that may be spent; None is no limit.
    """

    def __init__(self, price: Any, limit: float | None):
        self.price, self.limit = price, limit
        self.spent = 0.0
        self.reserved = 0.0
        self._lock = threading.Lock()

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """USD for these tokens."""
        if self.price is None:
            return 0.0
        return (prompt_tokens * self.price.input + completion_tokens * self.price.output) / 1e6

    def worst_case(self, request: Request) -> float:
        """USD that a request can't pass: a token for each UTF-8 byte of the prompt, and an answer of full length."""
        size = sum(len(m["content"].encode("utf-8", "surrogatepass")) + FRAME_TOKENS for m in request.messages)
        return self.cost(size + FRAME_TOKENS, request.decoding["max_tokens"])

    def reserve(self, amount: float) -> bool:
        """Set an amount aside; False (and nothing set aside) when the limit could be passed."""
        with self._lock:
            if self.limit is not None and self.spent + self.reserved + amount > self.limit:
                return False
            self.reserved += amount
            return True

    def settle(self, reserved: float, spent: float) -> None:
        """Replace an amount that was set aside by what was spent."""
        with self._lock:
            self.reserved -= reserved
            self.spent += spent

    def refusal(self, amount: float) -> str:
        """Why a request was not sent."""
        left = (self.limit or 0.0) - self.spent
        return f"not sent: it could cost {amount:.6f} USD, and {left:.6f} are left of max_cost_usd"
