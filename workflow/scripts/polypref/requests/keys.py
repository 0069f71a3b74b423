"""Request ids as numbers: an index of millions of ids that takes 16 bytes per id, and a fast look-up in it."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

_NIBBLES = np.full(256, 255, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
LENGTH = 32
"""Hexadecimal digits of a request id (128 bits)."""


def keys_of(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Convert ids to 128-bit keys, [id, 2] of uint64; ids that are not 32 hexadecimal digits are hashed.

    ``ids`` is a column of strings without nulls.
    """
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks() if ids.num_chunks != 1 else ids.chunk(0)
    count = len(ids)
    _, offsets, data = ids.buffers()
    starts = np.frombuffer(offsets or b"\0\0\0\0", np.int32)[ids.offset : ids.offset + count + 1]
    if count and (np.diff(starts) == LENGTH).all():
        digits = _NIBBLES[np.frombuffer(data, np.uint8)[starts[0] : starts[-1]]].reshape(count, LENGTH)
        if digits.max() < 16:
            return ((digits[:, 0::2] << 4) | digits[:, 1::2]).view(">u8").astype(np.uint64)
    hashed = b"".join(map(_key, ids.to_pylist()))
    return np.frombuffer(hashed, ">u8").astype(np.uint64).reshape(count, 2)


def _key(request_id: str) -> bytes:
    if len(request_id) == LENGTH and not set(request_id) - set("0123456789abcdef"):
        return bytes.fromhex(request_id)
    return hashlib.blake2b(request_id.encode(), digest_size=16).digest()


class KeyIndex:
    """The distinct keys of a sequence, in sorted order, and the positions of each of them in the sequence.

    Parameters
    ----------
    keys : [position, 2] of uint64
        As returned by :func:`keys_of`; a key may occur several times.

    Attributes
    ----------
    count : number of distinct keys
    first : [key] position of the first occurrence of each key
    number : [position] number of the key at each position
    """

    def __init__(self, keys: np.ndarray) -> None:
        order = np.lexsort((keys[:, 1], keys[:, 0])).astype(np.int64 if len(keys) > 2**31 - 1 else np.int32)
        high, low = keys[order, 0], keys[order, 1]
        new = np.ones(len(keys), bool)
        new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        self._high, self._low, self._order = high[new], low[new], order
        self._starts = np.append(np.flatnonzero(new), len(keys)).astype(order.dtype)
        self.count = len(self._high)
        self.first = order[self._starts[:-1]]
        self.number = np.empty_like(order)
        self.number[order] = np.cumsum(new, dtype=order.dtype) - 1

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the number of each key, or -1 if the index does not contain it."""
        wanted = np.argsort(keys[:, 0], kind="stable")  # sorted queries use the processor's cache
        high, low = keys[wanted, 0], keys[wanted, 1]
        place = np.searchsorted(self._high, high)
        found = np.full(len(keys), -1, np.int64)
        left = np.arange(len(keys))
        while len(left):  # more than once only if two keys have the same first half
            left = left[place[left] < self.count]
            left = left[self._high[place[left]] == high[left]]
            equal = self._low[place[left]] == low[left]
            found[wanted[left[equal]]] = place[left[equal]]
            left = left[~equal]
            place[left] += 1
        return found

    def positions(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all positions of some keys, and for each position the index of its key in ``numbers``."""
        begin, sizes = self._starts[numbers], self._starts[numbers + 1] - self._starts[numbers]
        owners = np.repeat(np.arange(len(numbers)), sizes)
        offset = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._order[begin[owners] + offset], owners
