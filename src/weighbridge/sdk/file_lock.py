"""Exclusive locks on files, held by one process and by nobody that it forks. It knows nothing of spools.

`flock` locks belong to the open file, which a forked child shares; such a child would keep the lock for as
long as it lives. So what is held is written down here, and a child closes its copies first thing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path

_held: set[int] = set()
_guard = threading.Lock()
"""Taken for the moment between opening a file and writing it down, in which no fork may fall."""


class FileLock:
    """The lock of one file, which is made if missing. Gone with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> bool:
        """Take the lock if nobody holds it; False if somebody does, or the file cannot be made.

        A lock got on a file that was meanwhile removed, or moved away with its folder, counts for nothing.
        """
        with _guard:
            try:
                fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError:
                return False
            _held.add(fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(fd), os.stat(self._path))
        except OSError:
            is_ours = False
        self._fd = fd
        if not is_ours:
            self.release()
        return is_ours

    def release(self) -> None:
        """Give the lock up; without it, nothing happens."""
        fd, self._fd = self._fd, -1
        with _guard:
            if fd in _held:  # in a forked child it is closed already, and the number may be another file's
                _held.discard(fd)
                os.close(fd)


def _before_fork() -> None:
    _guard.acquire()


def _after_fork_in_parent() -> None:
    _guard.release()


def _after_fork_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    for fd in _held:
        with contextlib.suppress(OSError):
            os.close(fd)
    _held.clear()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
