"""Run Snakemake's scripts in forks of a process that has already imported their packages.

Most jobs of a run are short: starting Python and importing pyarrow takes several times as long as their work. Small
models are quick as well, but importing torch and vLLM takes half a minute. Snakemake's process starts the server, which
imports the packages once and forks for every job. A fork writes to the output streams of the run and has its own exit
code and the environment that Snakemake gives to the job; Ctrl-C stops it as it stops a script. The server ends with the
process that started it, after the jobs that are still running.

No module may start threads or compute with torch while it is imported, because a fork has only one thread.

Only on Linux: the system libraries of macOS may not be used after a fork.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SUPPORTED = sys.platform == "linux" and hasattr(os, "pidfd_open")
READY = b"r"
NOT_IMPORTED = 3
"""Exit code of a server that can't import its modules."""
_is_fork = False


def is_fork() -> bool:
    """Whether this process is a fork of a server."""
    return _is_fork


@dataclass(frozen=True)
class Imports:
    """What a script imports and loads, so that a server can do it in advance.

    ``server``: scripts with the same name share a server. ``modules``: names of modules, or ``MODULE:FUNCTION:A,B`` to
    call a function with strings. ``environment``: adapts the environment of the server, because some modules read
    variables when they are imported.
    """

    server: str
    modules: tuple[str, ...]
    environment: Callable[[Mapping[str, str]], dict[str, str]] = dict


class ForkServer:
    """The server as seen by the process that starts it; its methods may be called from several threads."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
        """Start a server that imports the modules (see `Imports`); :attr:`is_ready` is true once it has."""
        self._control, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock, self._is_ready = threading.Lock(), False
        command = [sys.executable, "-P", "-m", "polypref.running.fork_server", str(end.fileno()), *modules]
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

    def wait(self) -> bool:
        """Wait until the server has imported its modules, and return whether it has; it ends if one can't be imported.

        Raises:
            OSError: if the server was stopped while it imported its modules.
        """
        with self._lock:
            if not self._is_ready:
                self._is_ready = self._control.recv(1) == READY
            if not self._is_ready and self._server.wait() != NOT_IMPORTED:
                raise OSError("the server process of this run was stopped")
            return self._is_ready and self._server.poll() is None

    def run(
        self,
        script: str,
        environment: dict[str, str],
        measure: Callable[[int], AbstractContextManager[Any]] | None = None,
    ) -> int:
        """Run a Python script in a fork, and return its exit code, or minus the number of the signal that ended it.

        Parameters
        ----------
        measure : function of the fork's process id whose context surrounds the script

        Raises:
            OSError: if the server ended before the script did.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._lock:
                socket.send_fds(self._control, [b"j"], [theirs.fileno()])
            with ours.makefile("rw", encoding="utf-8") as stream:
                pid = stream.readline()
                with measure(int(pid)) if measure and pid else nullcontext():
                    job = {"script": script, "folder": os.getcwd(), "environment": environment}
                    stream.write(json.dumps(job) + "\n")
                    stream.flush()
                    answer = stream.readline()
        if not answer:
            raise OSError("the server process of this run has ended; run the same command again")
        return int(answer)

    def close(self) -> None:
        """Stop the server after all running scripts have finished."""
        self._control.close()
        self._server.wait()


def serve(control: socket.socket, changed: Mapping[str, str]) -> None:
    """Fork for each connection received, until the other end of the control socket is closed and all forks ended.

    ``changed``: environment variables that imported modules have set, which every fork has as well.
    """
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
                        _run(connection, changed)
                    jobs[os.pidfd_open(pid)] = pid, connection
                    with suppress(OSError):  # the run has ended
                        connection.sendall(f"{pid}\n".encode())
            else:
                pid, connection = jobs.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with connection, suppress(OSError):  # the run has ended
                    connection.sendall(f"{code}\n".encode())


def _run(connection: socket.socket, changed: Mapping[str, str]) -> NoReturn:
    """Run the script that the connection names, in a fork, and end the process."""
    global _is_fork
    _is_fork = True
    with connection, connection.makefile(encoding="utf-8") as stream:
        line = stream.readline()
    if not line:  # the run has ended
        os._exit(1)
    job = json.loads(line)
    run_script([job["script"]], job["folder"], {**job["environment"], **changed}, os._exit)


def run_script(
    arguments: list[str], folder: str, environment: Mapping[str, str], end: Callable[[int], NoReturn]
) -> NoReturn:
    """Run a script with arguments in this process, a fork, as Python does, and end the process with the exit code."""
    code = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        end(code)


def import_all(modules: Sequence[str]) -> dict[str, str]:
    """Import modules and call functions (see `Imports`); return the environment variables that they have set.

    Their output is printed only if one of them fails.
    """
    before = dict(os.environ)
    gc.disable()  # imported objects are kept anyway; looking at them again and again is a sixth of the time
    with _output_of_failures():
        for name in modules:
            module, *call = name.split(":")
            imported = importlib.import_module(module)
            if call:
                getattr(imported, call[0])(*call[1].split(","))
    gc.enable()
    gc.collect()
    gc.freeze()  # forks share these objects; their garbage collector does not write to them
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


@contextmanager
def _output_of_failures() -> Iterator[None]:
    """Print what is written to the output streams only if the body fails."""
    streams = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, stream in enumerate(streams, 1):
                os.dup2(stream, number)
                os.close(stream)
            if failed:
                file.seek(0)
                sys.stderr.write(file.read().decode("utf-8", "replace"))


def main(number: int, modules: Sequence[str]) -> None:
    """Import modules, and serve the run that has the other end of a socket."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # without a traceback
        signal.signal(stop, signal.SIG_DFL)
    with socket.socket(fileno=number) as control:
        try:
            changed = import_all(modules)
        except Exception:
            traceback.print_exc()
            sys.exit(NOT_IMPORTED)
        with suppress(ConnectionError):  # the run has already ended
            control.send(READY)
            serve(control, changed)


if __name__ == "__main__":
    importlib.import_module("polypref.running.fork_server").main(int(sys.argv[1]), sys.argv[2:])  # the scripts' module
    os._exit(0)  # at once, because at the end of Python some packages print what they have left in memory
