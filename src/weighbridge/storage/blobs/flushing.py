"""Makes written files and renamed names survive a power loss, as cheaply as the platform allows.

It knows system calls only: nothing of digests, layouts or which files belong together. Measurements and the
promise made with them are in docs/design/0004-blobs.md.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Collection
from typing import Final

FLUSH_EACH_MAX: Final = 256
"""Up to so many files each is flushed by itself, so that other programs' unwritten pages are not waited for;
above it one flush of the whole file system is far cheaper (900 files: 65 ms one by one, 12 ms at once)."""

_WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE: begin write-out of dirty pages, don't wait


@functools.cache
def _linux() -> tuple[Callable[[int, int, int], int], Callable[[int], int]] | None:
    """`sync_file_range(fd, offset, length)` and `syncfs(fd)`, or None where the platform has neither."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "sync_file_range") or not hasattr(libc, "syncfs"):
        return None
    libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    libc.syncfs.argtypes = [ctypes.c_int]

    def begin(fd: int, offset: int, length: int) -> int:
        return int(libc.sync_file_range(fd, offset, length, _WRITE))

    def flush(fd: int) -> int:
        return ctypes.get_errno() if libc.syncfs(fd) else 0

    return begin, flush


def begin_writeback(fd: int, offset: int, length: int) -> None:
    """Ask the kernel to start writing a range out, so that the flush at the end is short.

    Only a hint: a refusal changes nothing, since the flush that follows reports any real error.
    """
    calls = _linux()
    if calls is not None:
        calls[0](fd, offset, length)


def flush_files(paths: Collection[str], *, root_fd: int) -> None:
    """Return once the content of every file is on the disk; raises OSError.

    All lie on the file system of `root_fd`, which must have been opened before they were written: the kernel
    reports to a descriptor only the write errors that came after it was opened.
    """
    calls = _linux()
    if calls is not None and len(paths) > FLUSH_EACH_MAX:
        _flush_file_system(calls[1], root_fd)
        return
    ordered = list(paths)
    for start in range(0, len(ordered), FLUSH_EACH_MAX):
        _flush_each(ordered[start : start + FLUSH_EACH_MAX])


def flush_folders(folders: Collection[str], *, root_fd: int) -> None:
    """Return once the names in `folders` are on the disk; raises OSError."""
    calls = _linux()
    if calls is not None and len(folders) > FLUSH_EACH_MAX // 8:
        _flush_file_system(calls[1], root_fd)
        return
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _flush_file_system(syncfs: Callable[[int], int], root_fd: int) -> None:
    code = syncfs(root_fd)
    if code:
        raise OSError(code, os.strerror(code))


def _flush_each(paths: list[str]) -> None:
    descriptors: list[int] = []
    try:
        for path in paths:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            descriptors.append(fd)
            begin_writeback(fd, 0, 0)
        for fd in descriptors:
            os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)
    finally:
        for fd in descriptors:
            os.close(fd)
