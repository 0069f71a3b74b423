"""A fork that waits for a script, so that a job in a fork of a server can start a process that needs no imports either.

A process that has started threads, as pyarrow and tokenizers do, should not fork any more. The job therefore forks at
its beginning, and the spare process later becomes what the job would have started with ``subprocess``: its child.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NoReturn

from polypref.running.fork_server import run_script


class SpareFork:
    """A fork of this process that runs one script, or ends with this process; used like ``subprocess.Popen``."""

    stdout: IO[bytes]
    """Output and error messages of the script, once it is started."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _wait(theirs)
        theirs.close()

    def start(
        self, arguments: list[str], folder: Path, environment: Mapping[str, str], keep: tuple[int, ...] = ()
    ) -> SpareFork:
        """Start a script.

        Parameters
        ----------
        arguments : the interpreter, which is not used, the script and its arguments
        keep : file descriptors that the process keeps open
        """
        reading, writing = os.pipe()
        with self._socket as there:
            socket.send_fds(there, [b"j"], [writing, *keep])
            os.close(writing)
            job = {"arguments": arguments[1:], "folder": str(folder), "environment": dict(environment)}
            there.sendall(json.dumps(job).encode())
        self.stdout = os.fdopen(reading, "rb", buffering=0)
        return self

    def poll(self) -> int | None:
        """Return the exit code, minus the number of the signal that ended the process, or None while it is running."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the end of the process, and return its exit code as :meth:`poll` does."""
        code = self._wait(0)
        assert code is not None
        return code

    def terminate(self) -> None:
        """Send SIGTERM to the process if it is running."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def _wait(connection: socket.socket) -> NoReturn:
    """Wait for a script in the spare process, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    with connection:
        _, received, _, _ = socket.recv_fds(connection, 1, 8)
        if not received:  # the job needs no process, or has ended
            os._exit(0)
        with connection.makefile(encoding="utf-8") as stream:
            job = json.load(stream)
    for number in (1, 2):
        os.dup2(received[0], number)
    os.close(received[0])
    run_script(job["arguments"], job["folder"], job["environment"], _end)


def _end(code: int) -> NoReturn:
    """End this process as Python does: wait for threads, and call the functions registered with ``atexit``."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
