"""A disk that fills up."""

import contextlib
import resource
import signal


@contextlib.contextmanager
def room_for(size: int):
    """No file can grow beyond a size: as a disk that fills up in the middle of a record."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
