"""Run Snakemake's scripts in forks of one process that has already imported their packages.

Most jobs of a run are short: starting Python and importing pyarrow takes several times as long as their work.
Snakemake's process starts the server, which imports the packages once and forks for every job. A fork writes to the
output streams of the run and has its own exit code and the environment that Snakemake gives to the job; Ctrl-C stops
it as it stops a script. The server ends with the process that started it, after the jobs that are still running.

Only on Linux: the system libraries of macOS may not be used after a fork.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

SUPPORTED = sys.platform == "linux" and hasattr(os, "pidfd_open")
READY = b"r"


class ForkServer:
    """The server as seen by the process that starts it; its methods may be called from several threads."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
        """Start a server that imports the modules; :attr:`is_ready` is true once it has."""
        self._control, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock, self._is_ready = threading.Lock(), False
        command = [sys.executable, "-P", "-m", __name__, str(end.fileno()), *modules]
        path = [str(Path(__file__).parents[2]), *environment.get("PYTHONPATH", "").split(os.pathsep)]
        environment = {**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))}
        with end:
            self._server = subprocess.Popen(command, pass_fds=[end.fileno()], env=environment, stdin=subprocess.DEVNULL)

    @property
    def is_ready(self) -> bool:
        """Whether the server has imported its modules and is still running."""
        with self._lock:
            if self._server.poll() is not None:
                return False
            if not self._is_ready and select.select([self._control], [], [], 0)[0]:
                self._is_ready = self._control.recv(1) == READY
            return self._is_ready

    def run(self, script: str, environment: dict[str, str]) -> int:
        """Run a Python script in a fork, and return its exit code, or minus the number of the signal that ended it.

        Raises:
            OSError: if the server ended before the script did.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._lock:
                socket.send_fds(self._control, [b"j"], [theirs.fileno()])
            with ours.makefile("rw", encoding="utf-8") as stream:
                stream.write(json.dumps({"script": script, "folder": os.getcwd(), "environment": environment}) + "\n")
                stream.flush()
                answer = stream.readline()
        if not answer:
            raise OSError("the server process for short jobs has ended; run the same command again")
        return int(answer)

    def close(self) -> None:
        """Stop the server after all running scripts have finished."""
        self._control.close()
        self._server.wait()


def serve(control: socket.socket) -> None:
    """Fork for each connection received, until the other end of the control socket is closed and all forks ended."""
    for number in (signal.SIGINT, signal.SIGTERM):  # all processes of a run get them; the server ends with the run
        signal.signal(number, signal.SIG_IGN)
    jobs: dict[int, tuple[int, socket.socket]] = {}
    is_open = True
    while is_open or jobs:
        for ready in select.select([control, *jobs] if is_open else [*jobs], [], [])[0]:
            if ready is control:
                try:
                    _, received, _, _ = socket.recv_fds(control, 1, 1)
                except ConnectionError:  # the run ended before it knew that the server was ready
                    received = []
                is_open = bool(received)
                for number in received:
                    connection = socket.socket(fileno=number)
                    pid = os.fork()
                    if pid == 0:
                        control.close()
                        _run(connection)
                    jobs[os.pidfd_open(pid)] = pid, connection
            else:
                pid, connection = jobs.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with connection:
                    connection.sendall(f"{code}\n".encode())


def _run(connection: socket.socket) -> None:
    """Run the script that the connection names, in a fork, and end the process."""
    code = 1
    try:
        with connection, connection.makefile(encoding="utf-8") as stream:
            job = json.loads(stream.readline())
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        sys.argv = [job["script"]]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        runpy.run_path(job["script"], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connected:
        for module in sys.argv[2:]:
            importlib.import_module(module)
        try:
            connected.send(READY)
            serve(connected)
        except ConnectionError:  # the run has already ended
            pass
