"""The row store of a batch: completions that survive the failure of the job that requested them.

A store is a folder. Each writer appends to its own journal (JSON lines, each with its CRC-32); when the batch ends, the
journal is sealed into a Parquet part. A journal of :data:`JOURNAL_BYTES` is sealed at once, so that after a kill the
next run has little to seal. Readers need no lock, because they ignore an incomplete last line. A record whose checksum
does not match is ignored too, and its request is sent again. Append-only files and ``flock`` work on network file
systems where a database would not.

``store_files`` defines the file formats, ``store_reader`` reads them, and ``store_lock`` allows only one job to write
at a time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.requests.store_files import (
    StoreError,
    Unsealed,
    checksum,
    has_page_checksums,
    part_tables,
    to_line,
    write_part,
)
from polypref.requests.store_lock import WriterLock
from polypref.requests.store_reader import StoreReader

JOURNAL_BYTES = 64 * 2**20
"""Size from which a journal is sealed while its writer continues with another one."""


class RowStore(StoreReader):
    """Completions by ``request_id``, in their own folder; used as a context manager, it can be written to.

    Parameters
    ----------
    folder : Path
        Created by the first writer.
    report : callable
        Called with one line for each damaged record or file, and while the store waits for another writer.
    shard : bool
        Write at the same time as others, on behalf of a job that already holds the store's lock.
    set_aside : bool
        Rename a part that can't be read, so that no later run tries to read it.
    flush_s : float
        Interval of automatic flushes in seconds; None: flush only when :meth:`flush` is called.
    patience_s : float
        Maximum wait for another writer, in seconds.
    """

    def __init__(
        self,
        folder: Path | str,
        report: Callable[[str], Any] = print,
        shard: bool = False,
        set_aside: bool = True,
        flush_s: float | None = None,
        patience_s: float = float("inf"),
    ) -> None:
        super().__init__(folder, report, set_aside)
        self._shard = shard
        self._lock = WriterLock(self.folder, report, patience_s)
        self._added = 0
        self._journal: Any = None
        self._pending: list[bytes] = []
        self._unsealed = Unsealed()
        self._size = 0
        self._flush_s = flush_s
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._failure: StoreError | None = None

    def __enter__(self) -> RowStore:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._shard:
                self._lock.acquire()
                self._seal_leftover_journals()
                self._rewrite_old_parts()
            self._open_journal()
        except OSError as error:
            self._close_files()
            raise StoreError(
                f"{self.folder}: completions can't be stored here ({error.strerror or error}). {_remedy(error)}, then "
                "run the same command again. All stored completions are kept."
            ) from error
        except BaseException:
            self._close_files()
            raise
        if self._flush_s:
            threading.Thread(target=self._flush_periodically, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        try:
            if self._journal is not None:
                self.flush()
                with contextlib.suppress(OSError):  # no space for a part: the journal is kept and read instead
                    self._seal(Path(self._journal.name), self._unsealed.take())
        finally:
            self._close_files()

    def add(self, record: dict[str, Any]) -> None:
        """Add a completion; it is on disk after the next :meth:`flush`."""
        line, crc = to_line(record)
        with self._mutex:
            if self._failure is not None:
                raise self._failure
            self._pending.append(line)
        self._unsealed.add(record, crc)
        self._added += 1
        self._size += len(line)
        if self._size >= JOURNAL_BYTES:
            self.seal()
        self._lock.record_progress(self._added)

    def flush(self) -> None:
        """Append the added completions to the journal and sync it to disk.

        Raises
        ------
        StoreError
            The disk is full, or writing is not permitted; completions of earlier flushes are kept.
        """
        with self._mutex:
            if self._failure is not None:
                raise self._failure
            if not self._pending:
                return
            data, self._pending = b"".join(self._pending), []
            size_before, written = None, 0
            try:
                size_before = os.fstat(self._journal.fileno()).st_size
                while written < len(data):
                    written += self._journal.write(memoryview(data)[written:])
                os.fsync(self._journal.fileno())
            except OSError as error:
                with contextlib.suppress(OSError):
                    if size_before is not None:  # keep the records that were written completely
                        os.truncate(self._journal.fileno(), size_before + data.rfind(b"\n", 0, written) + 1)
                        os.fsync(self._journal.fileno())
                    self._journal.close()
                self._journal = None
                raise StoreError(
                    f"{self.folder}: completions can't be stored ({error.strerror}). Free disk space, then run the "
                    "same command again. All stored completions are kept, and only the others are requested."
                ) from error

    def seal(self) -> None:
        """Seal the journal, and continue with another one; raises the errors of :meth:`flush`.

        Without space for a part, the journal is kept and read instead.
        """
        if not self._size:
            return
        self._size = 0
        self.flush()
        with self._mutex, contextlib.suppress(OSError):
            full = self._journal
            self._open_journal()
            with full:  # it stays locked until it is sealed
                self._seal(Path(full.name), self._unsealed.take())

    def keep_only(self, needed: set[str]) -> tuple[int, int]:
        """Rewrite the parts without unneeded, damaged and duplicate records.

        Returns
        -------
        records removed, records kept
        """
        kept: set[str] = set()
        removed = 0
        for part in self.parts():
            records = [record for table in self._read_part(part) for record in table.to_pylist()]
            keep = [record for record in records if record["request_id"] in needed - kept]
            kept.update(record["request_id"] for record in keep)
            removed += len(records) - len(keep)
            if keep:
                write_part(part, part_tables((record, checksum(record)) for record in keep))
            else:
                part.unlink(missing_ok=True)
        return removed, len(kept)

    def _flush_periodically(self) -> None:
        while not self._ended.wait(self._flush_s):
            try:
                self.flush()
            except StoreError as error:  # raised again by the next add() or flush()
                self._failure = error
                return

    def _seal_leftover_journals(self) -> None:
        """Seal the journals of killed writers; wait for the writers that are still running."""
        for journal in self.journals():
            # A shard that ends in the meantime seals its own journal, so the file may be gone.
            with contextlib.suppress(FileNotFoundError), open(journal, "rb") as file:
                self._lock.wait_for(file)
                self._seal(journal, part_tables(self._read_journal(journal)))

    def _seal(self, journal: Path, tables: Iterable[pa.Table]) -> None:
        """Write the records of a journal as a Parquet part, and remove the journal once the part is written."""
        tables = iter(tables)
        first = next(tables, None)
        if first is not None:
            part = journal.with_name(journal.name.replace("journal-", "part-").replace(".jsonl", ".parquet"))
            write_part(part, itertools.chain([first], tables))
        journal.unlink(missing_ok=True)

    def _rewrite_old_parts(self) -> None:
        """Rewrite the parts of an older version, whose records are slow to verify; delete what a killed writer left."""
        for partial in self.folder.glob(".part-*.partial"):
            partial.unlink(missing_ok=True)
        for part in self.parts():
            with contextlib.suppress(pa.ArrowException, ValueError, OSError):  # reported when it is read
                with pq.ParquetFile(part, pre_buffer=False) as file:
                    if has_page_checksums(file) or not file.metadata.num_rows:
                        continue
                records = (record for table in self._read_part(part) for record in table.to_pylist())
                write_part(part, part_tables((record, checksum(record)) for record in records))

    def _open_journal(self) -> None:
        name = f"journal-{time.time_ns():x}-{os.getpid()}.jsonl"
        self._journal = io.FileIO(self.folder / name, "a")
        fcntl.flock(self._journal, fcntl.LOCK_EX)

    def _close_files(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = None
        self._lock.release()


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
        return "Mount that file system with support for flock, or move `results` to one that has it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free disk space"
    return "Make the folder writable, or set `results` to another one"
