"""Output of a job: everything goes to its log file; progress and a single error message also go to the terminal.

Several jobs and Snakemake itself write to the same terminal from separate processes. Their output would break up a line
that is redrawn in place, so progress is printed as permanent lines, each in a single write. rich adds a bar and colours
if the stream is a terminal; in a file (a Slurm log) the lines are plain text.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # most small jobs print nothing, and importing rich takes a quarter of their run time
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

BAR = 16
"""Width of a progress bar in characters."""
WIDE = 120
"""Columns that a terminal needs for a line with a progress bar."""


def console_on(stream: TextIO) -> Console:
    """Create a rich console as wide as the stream's terminal; for other streams, it writes unwrapped plain text."""
    from rich.console import Console

    width = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 200
    return Console(file=stream, width=width or 80, highlight=False, markup=False, emoji=False,
                   soft_wrap=not stream.isatty())  # fmt: skip


class Terminal:
    """The stream that the user sees, in addition to the log file."""

    def __init__(self, stream: TextIO, name: str, log: str) -> None:
        self.name, self.log = name, log
        self.stream = stream
        """The stream itself, for other processes that write to it."""

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal rather than a file."""
        return self.stream.isatty()

    @cached_property
    def _console(self) -> Console:
        return console_on(self.stream)

    def report(self, text: str) -> None:
        """Print a line, prefixed with the job's name on the terminal, and write it to the log."""
        from rich.text import Text

        print(text, flush=True)
        self._write(Text.assemble((f"{self.name}: ", "cyan"), text))

    def show(self, line: Table, plain: str) -> None:
        """Print the rich line on a terminal of at least `WIDE` columns, and the plain one elsewhere and in the log."""
        if not self.is_terminal or self._console.width < WIDE:
            self.report(plain)
            return
        print(plain, flush=True)
        self._write(line)

    def fail(self, message: str) -> None:
        """Print why the job failed and where its log file is."""
        from rich.text import Text

        self._write(Text.assemble("\n", (f"ERROR in {self.name}: ", "bold red"), f"{message}\nThe log is {self.log}\n"))

    def _write(self, line: Text | Table) -> None:
        """Write a line in one call, because rich writes it in parts and other processes could write in between."""
        from rich.text import Text

        with self._console.capture() as captured:
            self._console.print(line, soft_wrap=isinstance(line, Text))
        self.stream.write(captured.get())
        self.stream.flush()


@contextlib.contextmanager
def job(name: str, log: str | os.PathLike[str]) -> Iterator[Terminal]:
    """Run the body of a job with all output, including that of native code and child processes, in its log file.

    An exception ends the job with exit code 1 and one message on the terminal that names the log file; the traceback is
    in the log file. Temporary files of :func:`polypref.files.tables.atomic_write` have been deleted by then.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    terminal = Terminal(stream, name, os.fspath(log))
    # A cluster that cancels or ends a job sends SIGTERM some seconds before SIGKILL: time to save results.
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield terminal
    except (Exception, KeyboardInterrupt) as error:
        traceback.print_exc()
        sys.stderr.flush()
        message = str(error) or type(error).__name__
        if isinstance(error, KeyboardInterrupt):
            message = "stopped on request; the rows written so far are saved, and the same command continues from there"
        elif not isinstance(error, ValueError | RuntimeError | OSError):
            message = f"{type(error).__name__}: {message}"
        terminal.fail(message)
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another process may send the signal again
    raise KeyboardInterrupt


class Progress:
    """Progress lines with rows done, rows/s, tokens/s, time left and rows reused from the row store.

    The interval between two lines grows with the elapsed time: from 5 s to one minute on a terminal, and from 30 s to
    ten minutes elsewhere, so that the log file of an overnight run stays readable.
    """

    def __init__(self, terminal: Terminal | None, total: int, reused: int = 0, unit: str = "rows") -> None:
        self._terminal, self.total, self.reused, self._unit = terminal, total, reused, unit
        self._start = self._last = time.monotonic()
        self._first, self._longest = (5, 60) if terminal and terminal.is_terminal else (30, 600)
        self.done = self.tokens = 0

    def add(self, rows: int, tokens: int = 0) -> None:
        """Count completed rows and their tokens; the caller prints the last line with :meth:`say`."""
        self.done += rows
        self.tokens += tokens
        now = time.monotonic()
        due = now - self._last >= min(max(self._first, (now - self._start) / 10), self._longest)
        if due and self.done < self.total:
            self._last = now
            self.report()

    def report(self) -> None:
        """Print the current progress."""
        if not self._terminal:
            return
        seconds = max(time.monotonic() - self._start, 1e-6)
        rate = self.done / seconds
        tokens = f"{self.tokens / seconds:,.0f} tokens/s" if self.tokens else ""
        finished = self.done >= self.total
        left = (
            f"in {clock(seconds)}" if finished else f"{clock((self.total - self.done) / rate if rate else None)} left"
        )
        share = f"{100 * self.done / max(self.total, 1):.0f}%"
        count, speed = f"{self.done:,}/{self.total:,} {self._unit}", f"{rate:,.1f} {self._unit}/s"
        reused = f"{self.reused:,} reused" if self.reused else ""
        parts = [f"{count} ({share})", speed, tokens, left, reused]
        self._terminal.show(
            self._line(share, count, speed, tokens, left, reused), ", ".join(part for part in parts if part)
        )

    def _line(self, share: str, *parts: str) -> Table:
        """The progress line with a bar, in columns of fixed width so that the lines of several jobs are aligned."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(no_wrap=True, min_width=18, style="cyan")
        line.add_column(width=BAR)
        widths = (4, 2 * len(f"{self.total:,}") + 6, 12, 14, 12, 0)
        for width in widths:
            line.add_column(no_wrap=True, justify="right", min_width=width)
        bar = ProgressBar(
            max(self.total, 1),
            self.done,
            width=BAR,
            complete_style="cyan",
            finished_style="green",
            style="bright_black",
        )
        line.add_row(self._terminal.name, bar, share, *parts)
        return line


def clock(seconds: float | None) -> str:
    """Format seconds as h:mm:ss, or as '12 s' below a minute; None means that the time is unknown."""
    if seconds is None:
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
