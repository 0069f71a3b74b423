"""File formats of the row store: journal lines with a checksum, and the Parquet parts that journals are sealed into."""

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
ROW_GROUP_SIZE = 5_000
"""Records in a row group. At most this many are in memory when a journal is sealed or a part is searched."""
DICTIONARY_COLUMNS = ["finish_reason"]
"""Columns with dictionary encoding. Ids and texts do not repeat, so a dictionary would only cost time and memory."""


class StoreError(RuntimeError):
    """The row store can't be used; the message gives the reason and the remedy."""


def checksum(record: dict[str, Any]) -> int:
    """Compute the CRC-32 of a completion's canonical JSON."""
    return zlib.crc32(canonical_json({name: record.get(name) for name in _COLUMNS}).encode("utf-8"))


def read_row_group(file: pq.ParquetFile, group: int, wanted: set[str] | None) -> list[dict[str, Any]]:
    """Read the wanted records of a row group (all if None); texts are read only if the group has a wanted record."""
    if wanted is None:
        return file.read_row_group(group, use_threads=False).cast(PART_SCHEMA).to_pylist()
    # One thread: more threads only hold more decoded columns in memory, and most of the work is one column, the text.
    ids = file.read_row_group(group, ["request_id"], use_threads=False)["request_id"].to_pylist()
    rows = [number for number, key in enumerate(ids) if key in wanted]
    if not rows:
        return []
    table = file.read_row_group(group, use_threads=False).cast(PART_SCHEMA)
    return (table if len(rows) == len(ids) else take_rows(table, rows)).to_pylist()


def write_part(part: Path, records: Iterator[tuple[dict[str, Any], int]]) -> None:
    """Write records with their checksums as a Parquet part, :data:`ROW_GROUP_SIZE` records at a time."""
    layout = {"compression": "zstd", "use_dictionary": DICTIONARY_COLUMNS}
    with atomic_write(part) as file, pq.ParquetWriter(file, PART_SCHEMA, **layout) as writer:
        for rows in batched(records, ROW_GROUP_SIZE):
            table = [{**record, "crc": crc} for record, crc in rows]
            writer.write_table(pa.Table.from_pylist(table, schema=PART_SCHEMA))


def to_line(record: dict[str, Any]) -> bytes:
    """Encode a record as a journal line: CRC-32 in hexadecimal, a space, JSON."""
    body = canonical_json({name: record.get(name) for name in _COLUMNS}).encode("utf-8")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def parse_line(line: bytes) -> tuple[dict[str, Any], int] | None:
    """Decode a journal line into record and checksum; None if the checksum does not match or the JSON is invalid."""
    crc, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        return (json.loads(body), int(crc, 16)) if int(crc, 16) == zlib.crc32(body) else None
    except ValueError:
        return None
