"""File formats of the row store: journal lines with a checksum, and the Parquet parts that journals are sealed into."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from polypref.files.columns import take_rows
from polypref.files.schemas import COMPLETIONS
from polypref.files.tables import atomic_write, batched, canonical_json

PART_SCHEMA = COMPLETIONS.append(pa.field("crc", pa.int64()))
_COLUMNS = tuple(COMPLETIONS.names)
ROW_GROUP_SIZE = 5_000
"""Records in a row group. At most this many are in memory when a journal is sealed or a part is searched."""
DICTIONARY_COLUMNS = ["finish_reason"]
"""Columns with dictionary encoding. Ids and texts do not repeat, so a dictionary would only cost time and memory."""
PAGE_CHECKSUMS = {b"polypref.checksums": b"pages"}
"""Metadata of a part whose Parquet pages have checksums. In other parts, each record is verified by its own CRC-32."""
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


class StoreError(RuntimeError):
    """The row store can't be used; the message gives the reason and the remedy."""


def checksum(record: dict[str, Any]) -> int:
    """Compute the CRC-32 of a completion's JSON with sorted keys."""
    return zlib.crc32(_encode({name: record.get(name) for name in _COLUMNS}))


def is_undamaged(record: dict[str, Any], crc: int) -> bool:
    """Whether a checksum belongs to a record; older versions computed it from JSON with other float formats."""
    if crc == checksum(record):
        return True
    return crc == zlib.crc32(canonical_json({name: record.get(name) for name in _COLUMNS}).encode("utf-8"))


def read_part(part: Path, report: Callable[[str], None], wanted: Container[str] | None = None) -> Iterator[pa.Table]:
    """Iterate over the undamaged records of a part (COMPLETIONS), one row group at a time.

    The checksums of the pages are verified, and those of the records if a page is damaged or has no checksum.
    ``report`` is called with one line for each damaged record, and for each row group that can't be read. With
    ``wanted``, row groups without one of these requests are skipped, and only their ids are read.

    Raises
    ------
    ArrowException, ValueError, OSError
        The file is not Parquet, or the file system has an error.
    """
    with (
        pq.ParquetFile(part, page_checksum_verification=True, pre_buffer=False) as file,
        pq.ParquetFile(part, pre_buffer=False) as unchecked,
    ):
        checked = has_page_checksums(file)
        for group in range(file.num_row_groups):
            try:
                if wanted is not None:
                    ids = unchecked.read_row_group(group, ["request_id"], use_threads=False)["request_id"].to_pylist()
                    if not any(key in wanted for key in ids):
                        continue
                if checked:
                    try:
                        table = _read_row_group(file, group, COMPLETIONS)
                    except (pa.ArrowException, ValueError, OSError) as error:
                        if getattr(error, "errno", None):
                            raise
                    else:
                        yield table
                        continue
                table = _read_row_group(unchecked, group, PART_SCHEMA)
            except (pa.ArrowException, ValueError, OSError) as error:
                if getattr(error, "errno", None):
                    raise
                report(
                    f"{part}: row group {group} can't be read ({str(error).splitlines()[0]}); its "
                    f"{file.metadata.row_group(group).num_rows:,} requests will be sent again"
                )
            else:
                yield _undamaged(table, part, report)


def _read_row_group(file: pq.ParquetFile, group: int, schema: pa.Schema) -> pa.Table:
    # One thread: more threads would only keep further decoded columns in memory.
    return file.read_row_group(group, schema.names, use_threads=False).cast(schema)


def _undamaged(table: pa.Table, part: Path, report: Callable[[str], None]) -> pa.Table:
    """Return the records of a table (PART_SCHEMA) whose checksum matches, without the checksums."""
    records = table.drop_columns(["crc"])
    good = []
    for number, (record, crc) in enumerate(zip(records.to_pylist(), table["crc"].to_pylist(), strict=True)):
        if is_undamaged(record, crc):
            good.append(number)
        else:
            report(
                f"{part}: the checksum of request {record['request_id']} does not match; the request will be sent again"
            )
    return records if len(good) == len(records) else take_rows(records, good)


def has_page_checksums(file: pq.ParquetFile) -> bool:
    """Whether a part was written with :data:`PAGE_CHECKSUMS`."""
    metadata = file.metadata.metadata or {}
    return PAGE_CHECKSUMS.items() <= metadata.items()


class Unsealed:
    """The records of a journal that is being written, with their checksums, so that sealing need not read it again.

    All but the last are already tables, which need a fraction of the memory.
    """

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._records: list[tuple[dict[str, Any], int]] = []

    def add(self, record: dict[str, Any], crc: int) -> None:
        """Add a record that is appended to the journal."""
        self._records.append((record, crc))
        if len(self._records) == ROW_GROUP_SIZE:
            self._tables.append(_with_checksums(self._records))
            self._records = []

    def take(self) -> list[pa.Table]:
        """Return the records as tables for :func:`write_part`, and forget them."""
        tables = [*self._tables, *part_tables(self._records)]
        self._tables, self._records = [], []
        return tables


def part_tables(records: Iterable[tuple[dict[str, Any], int]]) -> Iterator[pa.Table]:
    """Convert records with their checksums to tables for :func:`write_part`."""
    return map(_with_checksums, batched(records, ROW_GROUP_SIZE))


def _with_checksums(rows: list[tuple[dict[str, Any], int]]) -> pa.Table:
    return to_table((record for record, _ in rows), PART_SCHEMA, crc=[crc for _, crc in rows])


def write_part(part: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables (PART_SCHEMA) of at most :data:`ROW_GROUP_SIZE` records as a Parquet part, and sync it."""
    layout = {"compression": "zstd", "use_dictionary": DICTIONARY_COLUMNS, "write_page_checksum": True}
    with atomic_write(part) as file:
        with pq.ParquetWriter(file, PART_SCHEMA, **layout) as writer:
            writer.add_key_value_metadata(PAGE_CHECKSUMS)
            for table in tables:
                writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())


def to_table(records: Iterable[dict[str, Any]], schema: pa.Schema = COMPLETIONS, **columns: list[Any]) -> pa.Table:
    """Convert records to a table; ``columns`` are further columns of the schema."""
    names = [name for name in schema.names if name not in columns]
    columns |= dict(zip(names, zip(*map(itemgetter(*names), records), strict=True), strict=True))
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def to_line(record: dict[str, Any]) -> tuple[bytes, int]:
    """Encode a record as a journal line: CRC-32 in hexadecimal, a space, JSON. Return the line and the checksum."""
    body = _encode(record)
    crc = zlib.crc32(body)
    return b"%08x %s\n" % (crc, body), crc


def parse_line(line: bytes) -> tuple[dict[str, Any], int] | None:
    """Decode a journal line into record and checksum; None if the checksum does not match or the JSON is invalid."""
    crc, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        return (_decode(body), int(crc, 16)) if int(crc, 16) == zlib.crc32(body) else None
    except ValueError:
        return None
