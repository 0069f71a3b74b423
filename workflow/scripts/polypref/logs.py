"""What a job says: everything into its log file, progress and one clear error to the terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class Terminal:
    """The stream that the user watches, beside the log file."""

    def __init__(self, stream: TextIO, name: str, log: str) -> None:
        self._stream, self._name, self.log = stream, name, log

    @property
    def stream(self) -> TextIO:
        """Where it writes, for processes that write there too."""
        return self._stream

    def say(self, text: str) -> None:
        """Print a line under the job's name, here and in the log."""
        print(text, flush=True)
        self._stream.write(f"{self._name}: {text}\n")
        self._stream.flush()


@contextlib.contextmanager
def job(name: str, log: str | os.PathLike[str]) -> Iterator[Terminal]:
    """Run a job's body with stdout and stderr, also those of native code and children, in its log file.

    An exception becomes one message on the terminal with the way to the log, and exit code 1; the traceback is in the
    log. Whatever was written under a temporary name is gone by then.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    shown = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    terminal = Terminal(shown, name, os.fspath(log))
    # A cluster that cancels or ends a job sends SIGTERM some seconds before it kills: time to keep what there is.
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield terminal
    except (Exception, KeyboardInterrupt) as error:
        traceback.print_exc()
        sys.stderr.flush()
        message = str(error) or type(error).__name__
        if isinstance(error, KeyboardInterrupt):
            message = "stopped on request; what was flushed is kept, and the same command goes on from there"
        elif not isinstance(error, ValueError | RuntimeError | OSError):
            message = f"{type(error).__name__}: {message}"
        shown.write(f"\nERROR in {name}: {message}\nThe log is {log}\n\n")
        shown.flush()
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, whoever else sends it
    raise KeyboardInterrupt


class Progress:
    """Lines with rows done, rows/s, tokens/s and time left, at most one every ``every`` seconds."""

    def __init__(self, terminal: Terminal | None, total: int, unit: str = "rows", every: float = 10.0) -> None:
        self._terminal, self.total, self._unit, self._every = terminal, total, unit, every
        self._start = self._last = time.monotonic()
        self.done = self.tokens = 0

    def add(self, rows: int, tokens: int = 0) -> None:
        """Count rows that are done and the tokens they took."""
        self.done += rows
        self.tokens += tokens
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            self.say()

    def say(self) -> None:
        """Print where things stand now."""
        seconds = max(time.monotonic() - self._start, 1e-6)
        rate = self.done / seconds
        left = (self.total - self.done) / rate if rate else float("inf")
        tokens = f", {self.tokens / seconds:,.0f} tokens/s" if self.tokens else ""
        if self._terminal:
            share = 100 * self.done / max(self.total, 1)
            self._terminal.say(
                f"{self.done:,} of {self.total:,} {self._unit} ({share:.0f}%), {rate:,.1f} {self._unit}/s{tokens}, "
                f"{clock(left)} left"
            )


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, or as '12 s' below a minute."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
