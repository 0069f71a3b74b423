"""The two orders in which a judge sees a pair of answers."""

from __future__ import annotations

import hashlib

ORDERS = ("policy_first", "opponent_first")


def drawn_order(seed: int, item_id: str, policy: str, opponent: str, run: int) -> str:
    """The order in which a random-order run shows a pair: a digest decides, so that nothing else can change it."""
    key = "\x1f".join((str(seed), item_id, policy, opponent, str(run)))
    return ORDERS[hashlib.sha256(key.encode()).digest()[0] & 1]
