"""What a job says: everything into its log file, progress and one clear error to the terminal.

Several jobs and Snakemake itself write to one terminal at the same time, each from a process of its own. A line that is
drawn again in place would be torn by theirs, so progress is lines that stay, written whole; rich gives them a bar and
colours where the stream is a terminal, and plain text where it is a file (a Slurm log).
"""

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

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR = 16
"""Width of a progress bar in characters."""
WIDE = 120
"""Columns of a terminal from which on there is room for it."""


def console_on(stream: TextIO) -> Console:
    """A rich console as wide as the stream's terminal; on anything else it writes plain text and cuts nothing."""
    width = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 200
    return Console(file=stream, width=width or 80, highlight=False, markup=False, emoji=False,
                   soft_wrap=not stream.isatty())  # fmt: skip


class Terminal:
    """The stream that the user watches, beside the log file."""

    def __init__(self, stream: TextIO, name: str, log: str) -> None:
        self.name, self.log, self._console = name, log, console_on(stream)

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be watching, rather than a file taking it down."""
        return self._console.file.isatty()

    @property
    def stream(self) -> TextIO:
        """Where it writes, for processes that write there too."""
        return self._console.file

    def say(self, text: str) -> None:
        """Print a line under the job's name, here and in the log."""
        print(text, flush=True)
        self._write(Text.assemble((f"{self.name}: ", "cyan"), text))

    def show(self, line: Table, plain: str) -> None:
        """Print a line made by rich on a terminal of `WIDE` columns, the plain one elsewhere and in the log."""
        if not self.is_terminal or self._console.width < WIDE:
            self.say(plain)
            return
        print(plain, flush=True)
        self._write(line)

    def fail(self, message: str) -> None:
        """Print why the job ended and where its log is."""
        self._write(Text.assemble("\n", (f"ERROR in {self.name}: ", "bold red"), f"{message}\nThe log is {self.log}\n"))

    def _write(self, what: Text | Table) -> None:
        """One write, so that another process's line does not come between; rich would write part by part."""
        with self._console.capture() as written:
            self._console.print(what, soft_wrap=isinstance(what, Text))
        self._console.file.write(written.get())
        self._console.file.flush()


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
        terminal.fail(message)
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, whoever else sends it
    raise KeyboardInterrupt


class Progress:
    """Lines with rows done, rows/s, tokens/s, time left and rows reused from the store.

    The longer it takes the rarer they are: on a terminal every 5 s at first and every minute in the end, elsewhere
    every 30 s and every ten minutes, so that the log of a night stays readable.
    """

    def __init__(self, terminal: Terminal | None, total: int, reused: int = 0, unit: str = "rows") -> None:
        self._terminal, self.total, self.reused, self._unit = terminal, total, reused, unit
        self._start = self._last = time.monotonic()
        self._first, self._longest = (5, 60) if terminal and terminal.is_terminal else (30, 600)
        self.done = self.tokens = 0

    def add(self, rows: int, tokens: int = 0) -> None:
        """Count rows that are done and the tokens they took; the last line is left to :meth:`say`."""
        self.done += rows
        self.tokens += tokens
        now = time.monotonic()
        due = now - self._last >= min(max(self._first, (now - self._start) / 10), self._longest)
        if due and self.done < self.total:
            self._last = now
            self.say()

    def say(self) -> None:
        """Print where things stand now."""
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
        words = [f"{count} ({share})", speed, tokens, left, reused]
        self._terminal.show(
            self._line(share, count, speed, tokens, left, reused), ", ".join(word for word in words if word)
        )

    def _line(self, share: str, *words: str) -> Table:
        """The same with a bar, in columns of a width that keeps the lines of several jobs below each other."""
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
        line.add_row(self._terminal.name, bar, share, *words)
        return line


def clock(seconds: float | None) -> str:
    """Seconds as h:mm:ss, or as '12 s' below a minute; None is not known."""
    if seconds is None:
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
