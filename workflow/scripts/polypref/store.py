"""The row store of a batch: answers survive whatever stops the job that asked for them.

A store is a folder. One writer at a time appends to a journal (JSON lines, each behind its CRC-32); when the batch ends
the journal is sealed into a Parquet part. Readers need no lock: a torn last line is not an answer yet. Records that
fail their checksum never answer a request; they are set aside and asked again. Plain appended files and ``flock`` work
on network file systems where a database would not.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polypref.schemas import COMPLETIONS
from polypref.tables import atomic_write, canonical_json

PART_SCHEMA = COMPLETIONS.append(pa.field("crc", pa.int64()))


class StoreError(RuntimeError):
    """The store can't be used; the message says why and what to do."""


def checksum(record: dict[str, Any]) -> int:
    """CRC-32 of a completion's canonical JSON."""
    return zlib.crc32(canonical_json({name: record.get(name) for name in COMPLETIONS.names}).encode("utf-8"))


class RowStore:
    """Completions by ``request_id``, in a folder of their own.

    Parameters
    ----------
    folder : Path
        Made when it does not exist. Beside it nothing is written.
    report : callable
        Called with one line for each thing set aside.
    """

    def __init__(self, folder: Path | str, report: Any = print) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._report = report
        self._lock: Any = None
        self._journal: Any = None
        self._pending: list[bytes] = []

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Answers to those of the wanted requests that the store holds, checked record by record."""
        wanted = set(wanted)
        found: dict[str, dict[str, Any]] = {}
        if not wanted:
            return found
        for part in self._parts():
            found.update(self._from_part(part, wanted))
        for journal in sorted(self.folder.glob("journal-*.jsonl")):
            for record in self._from_journal(journal):
                if record["request_id"] in wanted:
                    found[record["request_id"]] = record
        return found

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _from_part(self, part: Path, wanted: set[str]) -> dict[str, dict[str, Any]]:
        try:
            table = pq.read_table(part, filters=pc.field("request_id").isin(pa.array(sorted(wanted))))
            records = table.cast(PART_SCHEMA).to_pylist()
        except (pa.ArrowException, ValueError, OSError) as error:
            self._set_aside(part, f"can't be read ({str(error).splitlines()[0]})")
            return {}
        good = {}
        for record in records:
            crc = record.pop("crc")
            if crc == checksum(record):
                good[record["request_id"]] = record
            else:
                self._report(f"{part}: request {record['request_id']} fails its checksum; it is asked again")
        return good

    def _from_journal(self, journal: Path) -> Iterator[dict[str, Any]]:
        data = journal.read_bytes()
        lines = data.split(b"\n")
        torn = lines.pop()  # what follows the last newline: empty, or a record that was being written
        for number, line in enumerate(lines, 1):
            record = _parse(line)
            if record is not None:
                yield record
            else:
                self._report(f"{journal}, line {number}: fails its checksum; it is asked again")
        if torn:
            self._report(f"{journal}: the last record is torn; it is asked again")

    def _set_aside(self, part: Path, why: str) -> None:
        aside = part.with_name(f"{part.name}.corrupt-{int(time.time())}")
        os.replace(part, aside)
        self._report(f"{part}: {why}; set aside as {aside.name}, its rows are asked again")

    # -- writing --------------------------------------------------------------------------------------------------

    def __enter__(self) -> RowStore:
        self._lock = open(self.folder / "writer.lock", "a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "another process"
            self._lock.close()
            self._lock = None
            raise StoreError(
                f"{self.folder}: is being written by {holder}. Wait for that job or cancel it, then run again."
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        self._lock.flush()
        self._seal_left_behind()
        name = f"journal-{time.time_ns():x}-{os.getpid()}.jsonl"
        self._journal = open(self.folder / name, "ab")
        return self

    def __exit__(self, *_: Any) -> None:
        self.flush()
        self._journal.close()
        self._seal(Path(self._journal.name))
        self._journal = None
        self._lock.close()
        self._lock = None

    def add(self, record: dict[str, Any]) -> None:
        """Take an answer; it is on disk after the next :meth:`flush`."""
        body = canonical_json({name: record.get(name) for name in COMPLETIONS.names}).encode("utf-8")
        self._pending.append(b"%08x %s\n" % (zlib.crc32(body), body))

    def flush(self) -> None:
        """Append what was added and make it durable."""
        if self._pending:
            self._journal.write(b"".join(self._pending))
            self._journal.flush()
            os.fsync(self._journal.fileno())
            self._pending = []

    def _seal_left_behind(self) -> None:
        """Journals of writers that were killed become parts: their complete records are answers."""
        for journal in sorted(self.folder.glob("journal-*.jsonl")):
            self._seal(journal)

    def _seal(self, journal: Path) -> None:
        """Turn a journal into a Parquet part; the journal goes when the part is there."""
        records = list(self._from_journal(journal))
        if records:
            rows = [{**record, "crc": checksum(record)} for record in records]
            part = journal.with_name(journal.name.replace("journal-", "part-").replace(".jsonl", ".parquet"))
            with atomic_write(part) as file:
                pq.write_table(pa.Table.from_pylist(rows, schema=PART_SCHEMA), file, compression="zstd")
        journal.unlink()


def _parse(line: bytes) -> dict[str, Any] | None:
    """A journal line's record, or None where checksum or JSON is wrong."""
    crc, _, body = line.partition(b" ")
    try:
        return json.loads(body) if int(crc, 16) == zlib.crc32(body) else None
    except ValueError:
        return None
