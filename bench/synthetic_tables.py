"""Large tables in the schemas of the workflow, for benchmarks."""

from __future__ import annotations

import pyarrow as pa


def fill(schema: pa.Schema, size: int, **columns: pa.Array | str | float | None) -> pa.Table:
    """Make a table; a column that is a single value has it in all rows, and one that is not given is null."""
    arrays = [columns.get(field.name) for field in schema]
    return pa.Table.from_arrays(
        [value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.repeat(pa.scalar(value, field.type), size)
         for value, field in zip(arrays, schema, strict=True)],
        schema=schema,
    )  # fmt: skip
