"""Columns of pyarrow and arrays of numpy, without importing pandas, as pyarrow's own conversions would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

FREE_TEXTS = frozenset(("text", "prompt", "chosen", "rejected", "content", "reply", "reference"))
"""Names of columns whose values rarely repeat; they are written without a dictionary, which makes this faster."""


def take_rows(table: pa.Table | pa.RecordBatch, numbers: Sequence[int] | np.ndarray) -> pa.Table | pa.RecordBatch:
    """Select rows by position without importing pandas, as ``table.take`` with a list would."""
    return table.take(integers(numbers))


def integers(numbers: Sequence[int] | np.ndarray) -> pa.Array:
    """Convert numbers to a column without importing pandas, as ``pa.array`` would."""
    data = np.ascontiguousarray(numbers, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def is_valid(column: pa.ChunkedArray) -> np.ndarray:
    """Return whether each value of a column is not null, without importing pandas."""
    if not column.null_count:
        return np.ones(len(column), bool)
    parts = [np.empty(0, bool)]
    for chunk in column.chunks:
        bitmap = chunk.buffers()[0]
        bits = None if bitmap is None else np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
        parts.append(
            np.ones(len(chunk), bool) if bits is None else bits[chunk.offset : chunk.offset + len(chunk)].astype(bool)
        )
    return np.concatenate(parts)


def repeating(fields: Iterable[pa.Field]) -> list[str]:
    """Return the paths in Parquet of the columns whose values repeat."""
    found = []
    for field in fields:
        is_list = pa.types.is_list(field.type)
        inner = field.type.value_type if is_list else field.type
        path = f"{field.name}.list.element" if is_list else field.name
        if pa.types.is_struct(inner):
            found += [f"{path}.{name}" for name in repeating(inner)]
        elif field.name not in FREE_TEXTS:
            found.append(path)
    return found
