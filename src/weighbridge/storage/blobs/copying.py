"""Copies bytes between two open files and hashes them in the same pass. It opens, names and flushes nothing.

What is hashed is the very buffer that is written, so a source that changes meanwhile can't give a blob whose
name is not the digest of its bytes.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, NamedTuple, Self

from blake3 import blake3

from weighbridge.storage.blobs.flushing import begin_writeback

SMALL_MAX_BYTES: Final = 1 << 20
"""A file up to this size is read whole; a bigger one goes through a Pipeline."""

_CHUNK_BYTES: Final = 1 << 18
_BUFFERS: Final = 8
"""All buffers together fit a core's cache: with 8 MiB of them the kernel's copies took twice the time on a busy
machine. Half as many leave too little slack for the hashing thread, which also begins the write-out."""
_WRITEBACK_BYTES: Final = 8 << 20
_FICLONE: Final = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_NO_CLONE: Final = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EBADF}
)

Clone = Callable[[int, int], bool]
"""`clone(source, target)`: make the target share the source's bytes; False where that can't be done."""

Advance = Callable[[int], None]
"""Called with the number of bytes done since the last call."""


class Copied(NamedTuple):
    """What was written: digest and size of the bytes in the target."""

    digest: str
    size_bytes: int


def ignore_progress(_size_bytes: int) -> None:
    """An Advance for callers that report nothing."""


def clone_file(source: int, target: int) -> bool:
    """Share all extents of `source` with `target` (reflink); False where the file systems can't.

    The clone is a snapshot: later writes to the source don't reach it.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def read_small(fd: int, size_bytes: int) -> bytes:
    """All bytes of an open file that is thought to hold `size_bytes`; one more is asked for, so growth shows."""
    data = os.read(fd, size_bytes + 1)
    if len(data) == size_bytes or not data:
        return data
    parts = [data]
    total = len(data)
    while total <= size_bytes and (part := os.read(fd, size_bytes + 1 - total)):
        parts.append(part)
        total += len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte, however many calls the kernel makes of it."""
    written = os.write(fd, data)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(view):
        written += os.write(fd, view[written:])


class Pipeline:
    """Copy and hash of big files: one thread reads and writes while another hashes. Not shared by threads.

    Holds 2 MiB of buffers and one thread from the first copy until it is closed.
    """

    def __init__(self, *, clone: Clone = clone_file) -> None:
        self._clone = clone
        self._hasher: ThreadPoolExecutor | None = None
        self._buffers: list[memoryview] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hasher is not None:
            self._hasher.shutdown(wait=True)
        self._buffers.clear()

    def copy(
        self, source: int, target: int, *, advance: Advance = ignore_progress, write_out: bool = False
    ) -> Copied:
        """Fill the empty file `target` from `source`; raises OSError.

        write_out: start writing dirty pages to the disk along the way, for a caller that will flush.
        """
        if self._clone(source, target):
            return self._pass(target, None, advance=advance, write_out=False)
        return self._pass(source, target, advance=advance, write_out=write_out)

    def hash(self, source: int, *, advance: Advance = ignore_progress) -> Copied:
        """Digest and size of an open file's bytes from its start; raises OSError."""
        return self._pass(source, None, advance=advance, write_out=False)

    def _pass(self, source: int, target: int | None, *, advance: Advance, write_out: bool) -> Copied:
        pool = self._start()
        hasher = blake3()
        pending: list[Future[object] | None] = [None] * (_BUFFERS + 1)  # the last slot: write-out under way
        position = flushed = turn = 0
        os.lseek(source, 0, os.SEEK_SET)
        try:
            while True:
                slot = turn % _BUFFERS
                _await(pending[slot])
                count = os.readv(source, [self._buffers[slot]])
                if not count:
                    break
                part = self._buffers[slot][:count]
                pending[slot] = pool.submit(hasher.update, part)
                if target is not None:
                    write_all(target, part)
                position += count
                turn += 1
                if position - flushed >= _WRITEBACK_BYTES:
                    if write_out and target is not None:
                        _await(pending[-1])
                        pending[-1] = pool.submit(begin_writeback, target, flushed, position - flushed)
                    advance(position - flushed)
                    flushed = position
        finally:
            for future in pending:
                _await(future)
        if write_out and target is not None:
            begin_writeback(target, flushed, 0)
        advance(position - flushed)
        return Copied(hasher.hexdigest(), position)

    def _start(self) -> ThreadPoolExecutor:
        if self._hasher is None:
            self._hasher = ThreadPoolExecutor(1, thread_name_prefix="weighbridge-hash")
            self._buffers = [memoryview(bytearray(_CHUNK_BYTES)) for _ in range(_BUFFERS)]
        return self._hasher


def _await(future: Future[object] | None) -> None:
    if future is not None:
        future.result()
