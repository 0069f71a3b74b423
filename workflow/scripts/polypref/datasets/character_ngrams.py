"""N-grams of characters as hashes, for shares of n-grams that occur twice in a text or in two texts."""

from __future__ import annotations

import numpy as np

_BASE = 0x9E3779B97F4A7C15
"""An odd number, which has an inverse modulo 2^64."""


class _Powers:
    """Powers of a number modulo 2^64, as many as were needed so far."""

    def __init__(self, base: int) -> None:
        self._base, self._powers = np.uint64(base), np.ones(1, np.uint64)

    def first(self, count: int) -> np.ndarray:
        if count > len(self._powers):
            factors = np.full(2 * count, self._base)
            factors[0] = 1
            self._powers = np.multiply.accumulate(factors)
        return self._powers[:count]


_POWERS, _INVERSES = _Powers(_BASE), _Powers(pow(_BASE, -1, 2**64))


def ngrams(text: str, size: int) -> list[int]:
    """Return 64-bit hashes of a text's n-grams of `size` characters, in order; equal n-grams have equal hashes.

    The hash of an n-gram is a polynomial of its code points modulo 2^64 (Karp and Rabin, 1987), computed for all
    n-grams at once from differences of a cumulative sum.
    """
    count = len(text) - size + 1
    if count <= 0:
        return []
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    sums = np.cumsum(codes * _POWERS.first(len(codes)))
    sums[size:] -= sums[:-size].copy()
    return (sums[size - 1 :] * _INVERSES.first(count)).tolist()
