"""Key-value cache for beam search, with buffers that are written and reordered in place.

transformers' ``DynamicCache`` copies all keys and values for every token, twice in a beam search. This cache writes
only the new token's column, and reordering copies only the columns that differ between the beams of a search: those of
the output, not of the shared prompt. No other module depends on transformers' cache interface.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

SLACK = 64
"""Additional columns, so that rows rarely have to be moved to the left."""


class _Rows(DynamicLayer):
    """A layer of :class:`BeamCache`; keys and values have the shape [row, head, column, head dimension]."""

    def __init__(self, cache: BeamCache):
        super().__init__()
        self.cache = cache
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        rows, end = self.cache.rows, self.cache.end
        self.keys[:rows, :, end : end + 1] = key_states
        self.values[:rows, :, end : end + 1] = value_states
        return self.keys[:rows, :, : end + 1], self.values[:rows, :, : end + 1]

    def get_seq_length(self) -> int:
        return self.cache.end


class BeamCache(Cache):
    """A cache with one row per beam; all rows end at column ``end``, and row i has ``lengths[i]`` columns.

    ``room``: number of rows for which the first buffers are allocated.
    """

    def __init__(self, room: int = 0) -> None:
        super().__init__(layers=[])
        self.room = room
        self.rows = self.end = self.columns = 0
        self.lengths: list[int] = []

    @property
    def longest(self) -> int:
        """Length of the longest row, in columns."""
        return max(self.lengths, default=0)

    def add(self, source: DynamicCache, rows: list[int], length: int) -> None:
        """Append copies of some rows of another cache, with their last ``length`` columns."""
        needed = max(self.longest, length)
        self._reserve(self.rows + len(rows), needed, source)
        if self.end < length:
            self._move(needed)
        if self.rows == 0:
            self.end = length
        place = slice(self.rows, self.rows + len(rows))
        for mine, its in zip(self.layers, source.layers, strict=True):
            mine.keys[place, :, self.end - length : self.end] = its.keys[rows, :, -length:]
            mine.values[place, :, self.end - length : self.end] = its.values[rows, :, -length:]
        self.rows += len(rows)
        self.lengths += [length] * len(rows)

    def reorder(self, order: list[int], since: int) -> None:
        """Move row ``order[i]`` to row i; rows that are moved differ only in their last ``since`` columns."""
        changed = [row for row, origin in enumerate(order) if row != origin]
        if not changed or not since:
            return
        sources, part = [order[row] for row in changed], slice(max(0, self.end - since), self.end)
        for layer in self.layers:
            layer.keys[changed, :, part] = layer.keys[sources, :, part]
            layer.values[changed, :, part] = layer.values[sources, :, part]

    def drop(self, first: int, count: int) -> None:
        """Remove ``count`` rows; the last ``count`` rows take their place."""
        last = self.rows - count
        if first != last:
            for layer in self.layers:
                for tensor in (layer.keys, layer.values):
                    tensor[first : first + count, :, : self.end] = tensor[last : self.rows, :, : self.end]
            self.lengths[first : first + count] = self.lengths[last:]
        del self.lengths[last:]
        self.rows = last

    def begin_step(self) -> None:
        """Make sure that each row has a free column for one more token."""
        if self.end == self.columns:
            self._reserve(self.rows, self.longest + 1)
            self._move(self.longest)

    def end_step(self) -> None:
        """Advance the ends and lengths after the model has written one token per row."""
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def mask(self, device: torch.device) -> torch.Tensor:
        """Return the attention mask of the next step, [row, column]."""
        starts = self.end - torch.tensor(self.lengths, device=device)
        return torch.arange(self.end + 1, device=device)[None, :] >= starts[:, None]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.end

    def _move(self, end: int) -> None:
        """Move all rows, so that they end at another column."""
        length = self.longest
        if end != self.end and self.rows:
            for layer in self.layers:
                for tensor in (layer.keys, layer.values):
                    kept = tensor[: self.rows, :, self.end - length : self.end].clone()
                    tensor[: self.rows, :, end - length : end] = kept
        self.end = end

    def _reserve(self, rows: int, columns: int, like: DynamicCache | None = None) -> None:
        """Enlarge the buffers if they are too small for a number of rows and columns."""
        if not self.layers and like is not None:
            self.layers = [_Rows(self) for _ in like.layers]
            for mine, its in zip(self.layers, like.layers, strict=True):
                mine.keys, mine.values = its.keys[:0, :, :0], its.values[:0, :, :0]
        held = self.layers[0].keys.shape[0]
        if rows <= held and columns <= self.columns:
            return
        rows = max(rows, held, self.room)
        columns = max(columns + SLACK, self.columns)
        for layer in self.layers:
            for name in ("keys", "values"):
                old = getattr(layer, name)
                new = old.new_zeros((rows, old.shape[1], columns, old.shape[3]))
                new[: self.rows, :, : self.end] = old[: self.rows, :, : self.end]
                setattr(layer, name, new)
        self.columns = columns
