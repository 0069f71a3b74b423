"""Output of a job: its log file, progress lines, and one error message on the terminal."""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from polypref.running.logs import Progress, Terminal, clock

PACKAGE = Path(__file__).parents[2] / "workflow/scripts"


def run(body: str, log: Path) -> subprocess.CompletedProcess:
    script = f"""
import os, sys
sys.path.insert(0, {str(PACKAGE)!r})
from polypref.running.logs import job
with job("the job", {str(log)!r}) as terminal:
    {body}
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_output_goes_to_the_log_and_progress_to_both(tmp_path):
    log = tmp_path / "logs/a.log"
    done = run('print("detail"); os.system("echo native"); terminal.report("half way")', log)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "the job: half way\n")
    assert sorted(log.read_text().splitlines()) == ["detail", "half way", "native"]


def test_an_error_is_one_message_that_names_the_log(tmp_path):
    log = tmp_path / "a.log"
    done = run('raise ValueError("file.jsonl, row 3: is empty")', log)
    assert done.returncode == 1
    assert done.stderr == f"\nERROR in the job: file.jsonl, row 3: is empty\nThe log is {log}\n\n"
    assert "Traceback" in log.read_text()


def test_an_unexpected_error_names_its_type(tmp_path):
    done = run('{}["missing"]', tmp_path / "a.log")
    assert "ERROR in the job: KeyError: 'missing'" in done.stderr and done.returncode == 1


def test_an_interrupted_job_reports_that_its_rows_are_saved(tmp_path):
    done = run("raise KeyboardInterrupt", tmp_path / "a.log")
    assert "stopped on request; the rows written so far are saved" in done.stderr and done.returncode == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (61, "0:01:01"), (3725, "1:02:05"), (None, "unknown time")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_progress_in_a_file_is_a_plain_line_at_long_intervals(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("polypref.running.logs.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    stream.fileno = lambda: 2
    progress = Progress(Terminal(stream, "translate/x", "x.log"), 20_000, reused=50)
    for second in range(1, 10_001):
        now[0] = float(second)
        progress.add(2, 20)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "translate/x: 60/20,000 rows (0%), 2.0 rows/s, 20 tokens/s, 2:46:10 left, 50 reused"
    assert 30 < len(lines) < 60, "every 30 s at first, then less often"
    progress.report()
    assert stream.getvalue().endswith("20,000/20,000 rows (100%), 2.0 rows/s, 20 tokens/s, in 2:46:40, 50 reused\n")
    assert capsys.readouterr().out.splitlines()[0] in lines[0], "in the log too"


LOOP = """
import os, sys, time
sys.path.insert(0, {package!r})
import polypref.running.logs as logs
with logs.job({name!r}, {log!r}) as terminal:
    progress = logs.Progress(terminal, 400, reused=7)
    progress._first = 0
    for _ in range(400):
        progress.add(1, 10)
        if _ % 50 == 0:
            terminal.report("a message")
        time.sleep(0.001)
    progress.report()
"""


def watch(names: list[str], folder: Path, columns: int) -> str:
    """Return what a pseudo-terminal shows of several simultaneous jobs."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP.format(package=str(PACKAGE), name=name, log=str(folder / f"{number}.log"))],
            stdin=subprocess.DEVNULL, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm-256color"},
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):  # the kernel's end of file
        while part := os.read(parent, 1 << 16):
            shown += part
    assert [job.wait(30) for job in jobs] == [0] * len(jobs)
    os.close(parent)
    return shown.decode()


def test_two_jobs_on_one_terminal_write_whole_lines_with_bars(tmp_path):
    shown = watch(["translate/strong", "judge/judge"], tmp_path, 130)
    assert "\x1b[" in shown and "━" in shown and "\x1b[2K" not in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "")
    line = re.compile(
        r"(translate/strong|judge/judge): a message|"
        r"(translate/strong|judge/judge) +[━╸╺ ]{16,} +\d+% +\d+/400 rows +[\d.,]+ rows/s +[\d,]+ tokens/s +"
        r"([\d:s ]+ left|in [\d:s ]+) +7 reused *"
    )
    torn = [text for text in plain.splitlines() if not line.fullmatch(text)]
    assert not torn and plain.count("400/400 rows") == 2
    starts = {text.index("%") for text in plain.splitlines() if "%" in text}
    assert len(starts) == 1, "the columns of both jobs are aligned"
    assert "\x1b" not in (tmp_path / "0.log").read_text()


def test_a_narrow_terminal_gets_the_line_without_a_bar(tmp_path):
    shown = watch(["judge/judge"], tmp_path, 80)
    assert "━" not in shown and "400/400 rows (100%)" in shown
