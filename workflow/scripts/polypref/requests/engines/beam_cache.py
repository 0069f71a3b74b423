"""Keys and values of the beams that run, in buffers that are written, reordered and refilled in place.

transformers' ``DynamicCache`` copies all of its keys and values for every token, twice in a beam search. Here a token
is written into its column, and reordering copies what differs between the beams of a search: their answers so far, not
the prompt that they share. This is the one module that leans on transformers' cache interface.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

SLACK = 64
"""Columns beyond the longest row, so that rows are moved to the left only now and then."""


class _Rows(DynamicLayer):
    """A layer of :class:`BeamCache`: keys and values are [row, head, column, number]."""

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
    """One row per beam. Rows end at the same column, ``end``, and begin ``lengths`` columns before it.

    ``room``: rows that the first buffers have room for.
    """

    def __init__(self, room: int = 0) -> None:
        super().__init__(layers=[])
        self.room = room
        self.rows = self.end = self.columns = 0
        self.lengths: list[int] = []

    @property
    def longest(self) -> int:
        """Columns that the rows take."""
        return max(self.lengths, default=0)

    def add(self, source: DynamicCache, rows: list[int], length: int) -> None:
        """Append rows: copies of ``rows`` of another cache, of which the last ``length`` columns are valid."""
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
        """Put row ``order[i]`` at row i; rows that change places differ in their last ``since`` columns alone."""
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
        """Make room for one more token in each row."""
        if self.end == self.columns:
            self._reserve(self.rows, self.longest + 1)
            self._move(self.longest)

    def end_step(self) -> None:
        """Count the token that the model has written."""
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def mask(self, device: torch.device) -> torch.Tensor:
        """Which columns each row may attend to in the coming step, [row, column]."""
        starts = self.end - torch.tensor(self.lengths, device=device)
        return torch.arange(self.end + 1, device=device)[None, :] >= starts[:, None]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.end

    def _move(self, end: int) -> None:
        """Let all rows end at another column."""
        length = self.longest
        if end != self.end and self.rows:
            for layer in self.layers:
                for tensor in (layer.keys, layer.values):
                    kept = tensor[: self.rows, :, self.end - length : self.end].clone()
                    tensor[: self.rows, :, end - length : end] = kept
        self.end = end

    def _reserve(self, rows: int, columns: int, like: DynamicCache | None = None) -> None:
        """Have buffers for so many rows and columns, larger ones where the present ones are too small."""
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
