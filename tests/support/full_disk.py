"""Simulate a full disk."""

import contextlib
import resource
import signal


@contextlib.contextmanager
def room_for(size: int):
    """Limit the size of files, so that a write fails in the middle of a record as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
