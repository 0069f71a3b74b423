"""The lock of a row store: only one job writes at a time, and the next job waits until all its writers have ended.

The job locks ``writer.lock``, and each of its shards locks only its own journal. Therefore a locked journal has a
running writer, even if the job that started the writer has ended.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from polypref.requests.store_files import StoreError

REPORT_EVERY_S = 60
RECORDS_PER_S = 50


class WriterLock:
    """``writer.lock`` of a row store, which also records who writes and its number of completions, stored or not.

    Parameters
    ----------
    folder : Path
        The row store.
    report : callable
        Called with one line at the start of the wait for another writer, and every minute after it.
    patience_s : float
        Maximum wait for another writer. Usually that writer is left over from a run that was killed, and the
        completions that it still stores need not be requested again.
    """

    def __init__(self, folder: Path, report: Callable[[str], Any], patience_s: float) -> None:
        self._folder = folder
        self._report = report
        self._patience_s = patience_s
        self._file: IO[bytes] | None = None
        self._recorded = 0.0

    def acquire(self) -> None:
        """Wait for the job that holds the lock, if there is one, and take the lock.

        Raises
        ------
        StoreError
            The other job did not end within ``patience_s``.
        """
        self._file = os.fdopen(os.open(self._folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        self.wait_for(self._file)
        self._file.truncate(0)
        self.record_progress(0)

    def release(self) -> None:
        """Give up the lock, if it is held."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def record_progress(self, completions: int) -> None:
        """Record this process and its number of completions in the lock file, for jobs that wait; no-op in a shard.

        The file is written at most :data:`RECORDS_PER_S` times per second.
        """
        now = time.monotonic()
        if self._file is not None and (not completions or now - self._recorded >= 1 / RECORDS_PER_S):
            self._recorded = now
            line = f"process {os.getpid()} on {socket.gethostname()} ({completions:,} completions so far)"
            os.pwrite(self._file.fileno(), line.encode(), 0)

    def wait_for(self, file: IO[Any]) -> None:
        """Lock a file as soon as the process that holds its lock has ended.

        Raises
        ------
        StoreError
            That process did not end within ``patience_s``.
        """
        began, reported = time.monotonic(), float("-inf")
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                holder = self._holder(file)
                if now - began >= self._patience_s:
                    raise StoreError(
                        f"{self._folder}: {holder} is writing to this row store; wait for that job or cancel it, then "
                        "run again"
                    ) from None
                if now - reported >= REPORT_EVERY_S:
                    reported = now
                    self._report(
                        f"waiting for {holder}, which is still writing this batch; its completions will be reused. "
                        "To continue at once, stop that process."
                    )
                time.sleep(min(1.0, self._patience_s))

    def _holder(self, file: IO[Any]) -> str:
        if file is not self._file:
            return f"process {Path(file.name).stem.split('-')[-1]} (a shard of an earlier job)"
        file.seek(0)
        return file.read().decode("utf-8", "replace").strip() or "another process"
