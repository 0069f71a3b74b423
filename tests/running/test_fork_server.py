"""Short scripts run in forks of a server: with their own output, environment, exit code and signals, as scripts do."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from polypref.running.fork_server import SUPPORTED, ForkServer

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="forks are used on Linux only")
SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


@pytest.fixture
def server():
    server = ForkServer(["decimal"])
    wait(lambda: server.is_ready)
    yield server
    server.close()


def wait(is_true) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


def write(folder: Path, text: str) -> str:
    path = folder / f"script{len(list(folder.iterdir()))}.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_script_has_the_packages_its_folder_and_its_environment(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        "import os, sys\n"
        "assert 'decimal' in sys.modules and __name__ == '__main__' and sys.argv == [sys.argv[0]]\n"
        "open('seen.txt', 'w').write(os.environ['MINE'] + str('HOME' in os.environ))\n"
    )
    assert server.run(write(tmp_path, text), {"MINE": "yes"}) == 0
    assert (tmp_path / "seen.txt").read_text() == "yesFalse"


@pytest.mark.parametrize(
    ("text", "code"),
    [("", 0), ("raise SystemExit", 0), ("import sys; sys.exit(3)", 3), ("raise SystemExit('why')", 1), ("1 / 0", 1),
     ("import os; os._exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)],
)  # fmt: skip
def test_exit_codes(server, tmp_path, text, code):
    assert server.run(write(tmp_path, text), dict(os.environ)) == code
    assert server.run(write(tmp_path, ""), dict(os.environ)) == 0, "the server is still running"


def test_scripts_of_several_threads_run_at_the_same_time(server, tmp_path):
    """Each of two scripts waits for the other's file."""
    text = (
        "import pathlib, sys, time\n"
        "mine, other = {0!r}, {1!r}\n"
        "pathlib.Path(mine).touch()\n"
        "end = time.monotonic() + 60\n"
        "while not pathlib.Path(other).exists() and time.monotonic() < end: time.sleep(0.01)\n"
        "sys.exit(0 if pathlib.Path(other).exists() else 1)\n"
    )
    files = [str(tmp_path / name) for name in ("a", "b")]
    codes = {}

    def run(number: int) -> None:
        path = tmp_path / f"{number}.py"
        path.write_text(text.format(files[number], files[1 - number]))
        codes[number] = server.run(str(path), dict(os.environ))

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {0: 0, 1: 0}


def test_a_server_that_was_killed_is_not_ready(server, tmp_path):
    os.kill(server._server.pid, signal.SIGKILL)
    server._server.wait()
    assert not server.is_ready
    with pytest.raises(OSError, match=r"ended; run the same command again|Broken pipe"):
        server.run(write(tmp_path, ""), dict(os.environ))


def test_the_measurement_surrounds_the_script(server, tmp_path):
    events = []

    @contextlib.contextmanager
    def measure(pid: int):
        events.append(pid)
        yield
        events.append((tmp_path / "pid.txt").read_text())

    script = write(tmp_path, f"import os; open({str(tmp_path / 'pid.txt')!r}, 'w').write(str(os.getpid()))")
    assert server.run(script, dict(os.environ), measure) == 0
    assert events == [events[0], str(events[0])]


def environment_with(folder: Path, name: str, text: str) -> dict[str, str]:
    """Write a module, and return an environment in which it can be imported."""
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_forks_have_the_variables_that_a_module_has_set_but_not_its_output(tmp_path, capfd):
    text = "import os\ndef load(one, two):\n    os.environ['FROM_MODULE'] = one + two\nprint('a warning')\n"
    server = ForkServer(["warns:load:y,es"], environment_with(tmp_path, "warns", text))
    assert server.wait() and server.wait() and server.is_ready
    script = "import os; assert os.environ['FROM_MODULE'] == 'yes' and 'PATH' not in os.environ; print('seen')"
    assert server.run(write(tmp_path, script), {"HOME": "/"}) == 0
    server.close()
    assert capfd.readouterr().out == "seen\n"


def test_a_server_ends_with_a_message_if_a_module_cannot_be_imported(tmp_path, capfd):
    text = "print('a warning'); raise ImportError('no such library')"
    server = ForkServer(["breaks"], environment_with(tmp_path, "breaks", text))
    assert not server.wait() and not server.is_ready
    shown = capfd.readouterr()
    assert "a warning" in shown.err and "no such library" in shown.err and not shown.out


def test_ctrl_c_during_the_imports_starts_no_script(tmp_path, capfd):
    """A job that waits for the imports must not start in its own process instead."""
    text = f"import time; open({str(tmp_path / 'begun')!r}, 'w').close(); time.sleep(60)"
    server = ForkServer(["sleeps"], environment_with(tmp_path, "sleeps", text))
    wait((tmp_path / "begun").exists)
    server._server.send_signal(signal.SIGINT)
    with pytest.raises(OSError, match="was stopped"):
        server.wait()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_run_that_ends_early_leaves_a_quiet_server(seconds):
    """The run ends while the server imports its modules, or before it has read that the server is ready."""
    code = "import time; from polypref.running.fork_server import ForkServer; server = ForkServer([]); time.sleep({})"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(
        [sys.executable, "-c", code.format(seconds)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


RUN = """
import os, sys, threading, time
from polypref.running.fork_server import ForkServer
server = ForkServer([])
while not server.is_ready:
    time.sleep(0.01)
print(server._server.pid, flush=True)
sys.exit(server.run(sys.argv[1], dict(os.environ)))
"""
SLEEPS = """
import os, pathlib, signal, sys, time
try:
    pathlib.Path({0!r}).write_text(str(os.getpid()))
    time.sleep({1})
except KeyboardInterrupt:
    sys.exit(5)
pathlib.Path({0!r}).with_suffix(".done").touch()
"""


def start(folder: Path, seconds: float) -> tuple[subprocess.Popen, Path, int]:
    """Start a process that runs a sleeping script in a fork; return it, the file and the server's process id."""
    file = folder / "started"
    script = write(folder, SLEEPS.format(str(file), seconds))
    command = [sys.executable, "-c", RUN, script]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    number = int(run.stdout.readline())
    wait(lambda: file.exists() and file.read_text())
    return run, file, number


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_reaches_the_script_and_the_server_ends_with_the_run(tmp_path):
    run, _, number = start(tmp_path, 60)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(30) != 0
    wait(lambda: not is_running(number))


def test_a_script_finishes_if_the_run_is_killed(tmp_path):
    run, file, number = start(tmp_path, 1)
    run.kill()
    run.wait()
    wait(file.with_suffix(".done").exists)
    wait(lambda: not is_running(number))
