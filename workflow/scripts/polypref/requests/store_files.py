"""The row store's files: JSON lines behind a checksum, and the Parquet parts that they are sealed into."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.files.schemas import COMPLETIONS
from polypref.files.tables import atomic_write, batched, canonical_json, take_rows

PART_SCHEMA = COMPLETIONS.append(pa.field("crc", pa.int64()))
_COLUMNS = tuple(COMPLETIONS.names)
SEALED_AT_ONCE = 5_000
"""Records in a row group: what is held in memory while a journal becomes a part, and while a part is searched."""
REPEATED = ["finish_reason"]
"""Columns that a dictionary makes smaller. Ids and texts do not recur; theirs would be built, given up and read."""


def checksum(record: dict[str, Any]) -> int:
    """CRC-32 of a completion's canonical JSON."""
    return zlib.crc32(canonical_json({name: record.get(name) for name in _COLUMNS}).encode("utf-8"))


def of_row_group(file: pq.ParquetFile, group: int, wanted: set[str] | None) -> list[dict[str, Any]]:
    """The wanted records of a row group, or all; the texts are read only where one of them is wanted."""
    if wanted is None:
        return file.read_row_group(group, use_threads=False).cast(PART_SCHEMA).to_pylist()
    # One thread: what the others would have ready lies in memory, and the work is one column's, the text's.
    ids = file.read_row_group(group, ["request_id"], use_threads=False)["request_id"].to_pylist()
    rows = [number for number, key in enumerate(ids) if key in wanted]
    if not rows:
        return []
    table = file.read_row_group(group, use_threads=False).cast(PART_SCHEMA)
    return (table if len(rows) == len(ids) else take_rows(table, rows)).to_pylist()


def write_part(part: Path, records: Iterator[tuple[dict[str, Any], int]]) -> None:
    """Write records with their checksums as a Parquet part; in memory are :data:`SEALED_AT_ONCE` of them."""
    layout = {"compression": "zstd", "use_dictionary": REPEATED}
    with atomic_write(part) as file, pq.ParquetWriter(file, PART_SCHEMA, **layout) as writer:
        for rows in batched(records, SEALED_AT_ONCE):
            table = [{**record, "crc": crc} for record, crc in rows]
            writer.write_table(pa.Table.from_pylist(table, schema=PART_SCHEMA))


def to_line(record: dict[str, Any]) -> bytes:
    """A record as a journal's line."""
    body = canonical_json({name: record.get(name) for name in _COLUMNS}).encode("utf-8")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def parse_line(line: bytes) -> tuple[dict[str, Any], int] | None:
    """A journal line's record and its checksum, or None where checksum or JSON is wrong."""
    crc, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        return (json.loads(body), int(crc, 16)) if int(crc, 16) == zlib.crc32(body) else None
    except ValueError:
        return None
