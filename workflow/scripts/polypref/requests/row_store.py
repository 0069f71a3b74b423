"""The row store of a batch: answers survive whatever stops the job that asked for them.

A store is a folder. A writer appends to a journal of its own (JSON lines, each behind its CRC-32); when the batch ends
the journal is sealed into a Parquet part. Readers need no lock: a torn last line is not an answer yet. Records that
fail their checksum never answer a request; they are set aside and asked again. Plain appended files and ``flock`` work
on network file systems where a database would not.

One job at a time writes: it holds ``writer.lock``. Its shards hold their journals only, so a journal that is locked is
one that somebody still writes, even where the job that started the writer is gone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.requests.store_files import checksum, of_row_group, parse_line, to_line, write_part


class StoreError(RuntimeError):
    """The store can't be used; the message says why and what to do."""


class RowStore:
    """Completions by ``request_id``, in a folder of their own.

    Parameters
    ----------
    folder : Path
        Made when somebody writes to it. Beside it nothing is written.
    report : callable
        Called with one line for each thing set aside, and while another writer is waited for.
    shard : bool
        Write beside others, for a job that holds the store already.
    set_aside : bool
        Move a part that can't be read out of the way.
    flush_s : float
        Flush by itself this often, also while no answer comes; None: only when :meth:`flush` is called.
    patience_s : float
        How long to wait for another writer's end. It is an orphan of a run that was killed, as a rule, and what it
        still answers need not be asked again.
    """

    def __init__(
        self,
        folder: Path | str,
        report: Any = print,
        shard: bool = False,
        set_aside: bool = True,
        flush_s: float | None = None,
        patience_s: float = float("inf"),
    ) -> None:
        self.folder = Path(folder)
        self._report = report
        self._shard = shard
        self._sets_aside = set_aside
        self._patience_s = patience_s
        self._lock: IO[bytes] | None = None
        self._added = 0
        self._journal: Any = None
        self._pending: list[bytes] = []
        self._flush_s = flush_s
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._failed: StoreError | None = None

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Answers to those of the wanted requests that the store holds, checked record by record."""
        wanted = set(wanted)
        found: dict[str, dict[str, Any]] = {}
        if not wanted:
            return found
        # Journals first: one that is sealed meanwhile is found again as a part.
        for journal in self.journals():
            for record, _ in self._from_journal(journal):
                if record["request_id"] in wanted:
                    found[record["request_id"]] = record
        for part in self.parts():
            found.update((record["request_id"], record) for record in self._from_part(part, wanted - found.keys()))
        return found

    def records(self) -> Iterator[dict[str, Any]]:
        """All sound records; one that was answered twice comes twice."""
        for journal in self.journals():
            yield from (record for record, _ in self._from_journal(journal))
        for part in self.parts():
            yield from self._from_part(part)

    def parts(self) -> list[Path]:
        """The sealed files."""
        return sorted(self.folder.glob("part-*.parquet"))

    def journals(self) -> list[Path]:
        """The files that are being written, or whose writer was killed."""
        return sorted(self.folder.glob("journal-*.jsonl"))

    def _from_part(self, part: Path, wanted: set[str] | None = None) -> Iterator[dict[str, Any]]:
        try:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    for record in of_row_group(file, group, wanted):
                        if record.pop("crc") == checksum(record):
                            yield record
                        else:
                            self._report(
                                f"{part}: request {record['request_id']} fails its checksum; it is asked again"
                            )
        except (pa.ArrowException, ValueError, OSError) as error:
            if getattr(error, "errno", None):  # the file system's own error says nothing about the part
                raise StoreError(
                    f"{part}: can't be read ({error.strerror}). Permit reading, then run again."
                ) from error
            self._set_aside(part, f"can't be read ({str(error).splitlines()[0]})")

    def _from_journal(self, journal: Path) -> Iterator[tuple[dict[str, Any], int]]:
        """Sound records with their checksums."""
        with contextlib.suppress(FileNotFoundError), open(journal, "rb") as file:  # sealed since the folder was listed
            for number, line in enumerate(file, 1):
                found = parse_line(line)
                if not line.endswith(b"\n"):  # a record that was being written
                    self._report(f"{journal}: the last record is torn; it is asked again")
                elif found is None:
                    self._report(f"{journal}, line {number}: fails its checksum; it is asked again")
                else:
                    yield found

    def _set_aside(self, part: Path, why: str) -> None:
        if not self._sets_aside:
            self._report(f"{part}: {why}; the next run sets it aside and asks its rows again")
            return
        aside = part.with_name(f"{part.name}.corrupt-{int(time.time())}")
        with contextlib.suppress(OSError):  # a folder that is not ours to write: it is left out all the same
            os.replace(part, aside)
        self._report(f"{part}: {why}; set aside as {aside.name}, its rows are asked again")

    # -- writing --------------------------------------------------------------------------------------------------

    def __enter__(self) -> RowStore:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._shard:
                self._lock = os.fdopen(os.open(self.folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o666), "r+b")
                self._wait_for(self._lock)
                self._lock.truncate(0)
                self._say_how_far()
                for journal in self.journals():  # of writers that were killed: their complete records are answers
                    # An orphan's shard that ends meanwhile seals its own.
                    with contextlib.suppress(FileNotFoundError), open(journal, "rb") as left_behind:
                        self._wait_for(left_behind)
                        self._seal(journal)
            name = f"journal-{time.time_ns():x}-{os.getpid()}.jsonl"
            self._journal = open(self.folder / name, "ab", buffering=0)
            fcntl.flock(self._journal, fcntl.LOCK_EX)
        except OSError as error:
            self._let_go()
            raise StoreError(
                f"{self.folder}: answers can't be stored there ({error.strerror or error}). {_remedy(error)}, then run "
                "the same command again; what was answered is kept."
            ) from error
        except BaseException:
            self._let_go()
            raise
        if self._flush_s:
            threading.Thread(target=self._keep_flushing, daemon=True).start()
        return self

    def _keep_flushing(self) -> None:
        while not self._ended.wait(self._flush_s):
            try:
                self.flush()
            except StoreError as error:  # the next answer, or the end, says so
                self._failed = error
                return

    def _wait_for(self, file: IO[Any]) -> None:
        """Lock a file, when whoever holds it has ended."""
        began, said = time.monotonic(), float("-inf")
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                holder = self._holder(file)
                if now - began >= self._patience_s:
                    raise StoreError(
                        f"{self.folder}: is being written by {holder}. Wait for that job or cancel it, then run again."
                    ) from None
                if now - said >= 60:
                    said = now
                    self._report(
                        f"waiting for {holder}, which still writes this batch: what it answers is not asked again. "
                        "To go on at once, stop that process."
                    )
                time.sleep(min(1.0, self._patience_s))

    def _holder(self, file: IO[Any]) -> str:
        if file is not self._lock:
            return f"process {Path(file.name).stem.split('-')[-1]} (a shard of an earlier job)"
        file.seek(0)
        return file.read().decode("utf-8", "replace").strip() or "another process"

    def _say_how_far(self) -> None:
        """Keep in ``writer.lock`` who writes and how many answers came, also for those who wait."""
        if self._lock is not None:
            line = f"process {os.getpid()} on {socket.gethostname()} ({self._added:,} answers so far)"
            os.pwrite(self._lock.fileno(), line.encode(), 0)

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        try:
            if self._journal is not None:
                self.flush()
                with contextlib.suppress(OSError):  # no room for a part: the journal answers as well
                    self._seal(Path(self._journal.name))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for file in (self._journal, self._lock):
            if file is not None:
                file.close()
        self._journal = self._lock = None

    def add(self, record: dict[str, Any]) -> None:
        """Take an answer; it is on disk after the next :meth:`flush`."""
        line = to_line(record)
        with self._mutex:
            if self._failed is not None:
                raise self._failed
            self._pending.append(line)
        self._added += 1
        self._say_how_far()

    def flush(self) -> None:
        """Append what was added and make it durable.

        Raises
        ------
        StoreError
            The disk is full, or writing is not permitted; what was flushed before is kept.
        """
        with self._mutex:
            if self._failed is not None:
                raise self._failed
            if not self._pending:
                return
            data, self._pending = b"".join(self._pending), []
            before, written = None, 0
            try:
                before = os.fstat(self._journal.fileno()).st_size
                while written < len(data):
                    written += self._journal.write(memoryview(data)[written:])
                os.fsync(self._journal.fileno())
            except OSError as error:
                with contextlib.suppress(OSError):
                    if before is not None:  # the answers that found room stay
                        os.truncate(self._journal.fileno(), before + data.rfind(b"\n", 0, written) + 1)
                        os.fsync(self._journal.fileno())
                    self._journal.close()
                self._journal = None
                raise StoreError(
                    f"{self.folder}: answers can't be stored ({error.strerror}). Make room, then run the same command "
                    "again: what was stored before is kept, and only the rest is asked."
                ) from error

    def keep_only(self, needed: set[str]) -> tuple[int, int]:
        """Rewrite the parts without the records that nobody needs, nor a damaged or a second one.

        Returns
        -------
        records removed, records kept
        """
        kept: set[str] = set()
        removed = 0
        for part in self.parts():
            records = list(self._from_part(part))
            keep = [record for record in records if record["request_id"] in needed - kept]
            kept.update(record["request_id"] for record in keep)
            removed += len(records) - len(keep)
            if keep:
                write_part(part, ((record, checksum(record)) for record in keep))
            else:
                part.unlink(missing_ok=True)
        return removed, len(kept)

    def _seal(self, journal: Path) -> None:
        """Turn a journal into a Parquet part; the journal goes when the part is there."""
        records = self._from_journal(journal)
        first = next(records, None)
        if first is not None:
            part = journal.with_name(journal.name.replace("journal-", "part-").replace(".jsonl", ".parquet"))
            write_part(part, itertools.chain([first], records))
        journal.unlink(missing_ok=True)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
        return "Mount that file system with flock, or put `results` on one that has it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room"
    return "Permit writing there, or put `results` elsewhere"
