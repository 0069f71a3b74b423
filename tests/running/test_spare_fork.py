"""A spare fork runs a script as a child of the job: with its arguments, environment, output and exit code."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from polypref.running.fork_server import SUPPORTED, ForkServer

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="forks are used on Linux only")

JOB = """
import os, sys, threading
from pathlib import Path
from polypref.running.fork_server import is_fork
from polypref.running.spare_fork import SpareFork

assert is_fork()
spare = SpareFork()
thread = threading.Thread(target=lambda: None)
thread.start()
lock = open({lock!r}, "w")
process = spare.start([sys.executable, {script!r}, "--one", "1"], Path({folder!r}), {{"MINE": "yes"}}, (lock.fileno(),))
{then}
"""
SHOWS = """
import atexit, os, sys, threading, time
atexit.register(print, "at the end")
kept = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if int(number) > 2]
print(sys.argv[1:], os.environ["MINE"], "HOME" in os.environ, os.getcwd(), any(path.endswith("/lock") for path in kept))
print("an error", file=sys.stderr)
threading.Thread(target=lambda: (time.sleep(0.2), print("from a thread", flush=True))).start()
sys.exit(3)
"""
READS = """
text = process.stdout.read().decode()
Path({output!r}).write_text(text)
sys.exit(10 + process.wait())
"""
SLEEPS = "import signal, time; print('started', flush=True); time.sleep(60)"
STOPS = """
process.stdout.readline()
assert process.poll() is None and Path(f"/proc/{process.pid}/stat").read_text().split()[3] == str(os.getpid())
process.terminate()
sys.exit(-process.wait())
"""


@pytest.fixture
def server():
    server = ForkServer(["json"])
    assert server.wait()
    yield server
    server.close()


def run(server: ForkServer, folder: Path, script: str, then: str) -> int:
    """Run a job that starts a script in its spare fork; return the job's exit code."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    text = JOB.format(lock=str(folder / "lock"), script=str(folder / "script.py"), folder=str(folder), then=then)
    (folder / "job.py").write_text(text, encoding="utf-8")
    return server.run(str(folder / "job.py"), dict(os.environ))


def test_a_script_runs_as_a_process_of_its_own(server, tmp_path):
    assert run(server, tmp_path, SHOWS, READS.format(output=str(tmp_path / "output.txt"))) == 13
    lines = (tmp_path / "output.txt").read_text().splitlines()
    assert sorted(lines) == sorted(
        [f"['--one', '1'] yes False {tmp_path} True", "an error", "from a thread", "at the end"]
    )


def test_it_is_a_child_that_can_be_terminated(server, tmp_path):
    assert run(server, tmp_path, SLEEPS, STOPS) == signal.SIGTERM


def test_it_ends_with_a_job_that_does_not_use_it(server, tmp_path):
    pid = tmp_path / "pid.txt"
    (tmp_path / "job.py").write_text(
        f"from polypref.running.spare_fork import SpareFork\nopen({str(pid)!r}, 'w').write(str(SpareFork().pid))\n"
    )
    assert server.run(str(tmp_path / "job.py"), dict(os.environ)) == 0
    for _ in range(600):
        stat = Path(f"/proc/{pid.read_text()}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        threading.Event().wait(0.05)
    raise AssertionError("the spare fork is still running")


def test_an_ordinary_process_is_no_fork():
    from polypref.running.fork_server import is_fork

    assert not is_fork() and sys.argv
