"""What a job says: its output in the log, one clear error on the terminal, exit code 1."""

import subprocess
import sys
from pathlib import Path

import pytest

from polypref.logs import Progress, clock

PACKAGE = Path(__file__).parents[1] / "workflow/scripts"


def run(body: str, log: Path) -> subprocess.CompletedProcess:
    script = f"""
import os, sys
sys.path.insert(0, {str(PACKAGE)!r})
from polypref.logs import job
with job("the job", {str(log)!r}) as terminal:
    {body}
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_output_goes_to_the_log_and_progress_to_both(tmp_path):
    log = tmp_path / "logs/a.log"
    done = run('print("detail"); os.system("echo native"); terminal.say("half way")', log)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "the job: half way\n")
    assert sorted(log.read_text().splitlines()) == ["detail", "half way", "native"]


def test_an_error_is_one_message_with_the_way_to_the_log(tmp_path):
    log = tmp_path / "a.log"
    done = run('raise ValueError("file.jsonl, row 3: is empty")', log)
    assert done.returncode == 1
    assert done.stderr == f"\nERROR in the job: file.jsonl, row 3: is empty\nThe log is {log}\n\n"
    assert "Traceback" in log.read_text()


def test_an_unforeseen_error_names_its_kind(tmp_path):
    done = run('{}["missing"]', tmp_path / "a.log")
    assert "ERROR in the job: KeyError: 'missing'" in done.stderr and done.returncode == 1


def test_an_interruption_says_that_nothing_is_lost(tmp_path):
    done = run("raise KeyboardInterrupt", tmp_path / "a.log")
    assert "stopped on request" in done.stderr and done.returncode == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (61, "0:01:01"), (3725, "1:02:05"), (float("inf"), "unknown time")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_progress_says_rate_and_time_left():
    said = []
    terminal = type("T", (), {"say": lambda self, text: said.append(text)})()
    progress = Progress(terminal, 200, every=0)
    progress.add(100, 1000)
    assert "100 of 200 rows (50%)" in said[0] and "rows/s" in said[0] and "tokens/s" in said[0] and "left" in said[0]
