"""The spool: a run's append-only, checksummed log on disk, and the source of everything the client sends.

One folder per writing process and run, `<home>/spool/<spool_id>/`, holding who the run is (`start`) and
segments named by the global byte offset they begin at. The format is docs/design/0002-spool.md. This module
writes and knows the format; `spool_reader` reads, `sender` ships. A frame goes to the operating system in
one `write`, so it outlives the process from the moment `append` returns.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import struct
import zlib
from collections import deque
from pathlib import Path
from typing import Final

from weighbridge.errors import StorageError, StorageFull

MAGIC: Final = b"WBSPOOL1"
FRAME_MAGIC: Final = b"\xb7\xe1"
FRAME: Final = struct.Struct("<2sHII")
"""Mark, kind, payload length, CRC-32 of the payload seeded with kind and length."""
FRAME_BYTES: Final = FRAME.size
FRAME_MAX_BYTES: Final = 32 << 20
SEGMENT_BYTES: Final = 64 << 20
BACKLOG_BYTES: Final = 16 << 20
"""What is kept in memory while the disk takes nothing; beyond it the oldest rows are dropped and counted."""

KIND_ROW: Final = 1
KIND_START: Final = 2
KIND_ITEM: Final = 3
KIND_ARTIFACT: Final = 4

START: Final = "start"
OWNER: Final = "owner"
LEASE: Final = "lease"
ACKED: Final = "acked"
OFFLINE: Final = "offline"
FINISHING: Final = "finishing"

SHIPPER_LOG: Final = "shipper.log"
"""Beside the spools: what the shipper process had to say."""

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def seed(kind: int, length: int) -> int:
    """The CRC's start value, so that a damaged kind or length is found as well."""
    return (kind << 16 ^ length) & 0xFFFFFFFF


def frame(kind: int, payload: bytes) -> bytes:
    """One frame as it stands on disk."""
    length = len(payload)
    return FRAME.pack(FRAME_MAGIC, kind, length, zlib.crc32(payload, seed(kind, length))) + payload


def segment_name(offset: int) -> str:
    """File name of the segment that begins at a global offset; names sort as offsets do."""
    return f"{offset:016x}.wbspool"


def new_spool_id() -> str:
    """A name for a spool, unique for all time."""
    return secrets.token_hex(12)


class SpoolWriter:
    """Appends frames to one spool. The caller serialises calls; one writer owns the folder until released.

    Making one never fails: where the disk takes nothing, frames wait in memory (bounded) and the folder is
    made once it can be, so that a full or unwritable disk does not stop a training job.
    """

    def __init__(self, root: Path, spool_id: str, start: bytes, *, is_offline: bool = False) -> None:
        """start: the encoded StartRun, so that whoever finds the spool knows what it belongs to."""
        self.spool_id = spool_id
        self.path = root / spool_id
        self.offset = 0
        self.dropped_rows = 0
        self.problem: StorageError | None = None
        """Why the last attempt to write failed; None while all is well."""
        self._root = root
        self._start = start
        self._is_offline = is_offline
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._segment_start = 0
        self._fd = -1
        self._owner = -1
        try:
            self._create()
        except OSError as error:
            self.problem = _translate(error, root)

    def _create(self) -> None:
        """Make the folder, owned from the instant it is visible."""
        fresh = self._root / f".new-{self.spool_id}"
        self._root.mkdir(parents=True, exist_ok=True)
        fresh.mkdir(mode=0o700, exist_ok=True)
        try:
            self._owner = os.open(fresh / OWNER, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._owner, fcntl.LOCK_EX)
            if self._is_offline:
                (fresh / OFFLINE).touch(mode=0o600)
            (fresh / START).write_bytes(frame(KIND_START, self._start))
            (fresh / segment_name(0)).unlink(missing_ok=True)
            self._fd = self._open_segment(fresh)
            fresh.rename(self.path)
        except OSError:
            self.abandon()
            raise

    def _open_segment(self, folder: Path) -> int:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(folder / segment_name(self.offset), flags, 0o600)
        head = MAGIC + struct.pack("<Q", self.offset)
        try:
            if os.write(fd, head) != len(head):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(fd)
            # Left behind, it would look like the end of the segment before it, which goes on growing.
            (folder / segment_name(self.offset)).unlink(missing_ok=True)
            raise
        self._segment_start = self.offset
        return fd

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait in memory because the disk took none."""
        return self._backlog_bytes

    def append(self, kind: int, payload: bytes) -> bool:
        """Write one frame; True once it is with the operating system and survives the death of this process.

        False where the disk took it not (`problem` says why): it is kept in memory and goes first at the
        next call.
        """
        length = len(payload)
        data = (
            FRAME.pack(FRAME_MAGIC, kind, length, zlib.crc32(payload, (kind << 16 ^ length) & 0xFFFFFFFF))
            + payload
        )
        if self._backlog or self._fd < 0:
            self._keep(data, kind)
            return self.flush_backlog()
        if not self._write(data):
            self._keep(data, kind)
            return False
        if self.offset - self._segment_start >= SEGMENT_BYTES:
            self._rotate()
        return True

    def _write(self, data: bytes) -> bool:
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                self._cut(written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.problem = _translate(error, self.path)
            return False
        self.offset += written
        return True

    def flush_backlog(self) -> bool:
        """Write what waits in memory, in order; False while the disk still does not take all of it."""
        if self._fd < 0:
            try:
                self._create()
            except OSError as error:
                self.problem = _translate(error, self._root)
                return False
        while self._backlog:
            if not self._write(self._backlog[0]):
                return False
            self._backlog_bytes -= len(self._backlog.popleft())
        self.problem = None
        return True

    def _keep(self, data: bytes, kind: int) -> None:
        """Hold a frame in memory. Past the bound the oldest rows go; other frames are few and kept."""
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        if self._backlog_bytes <= BACKLOG_BYTES or kind != KIND_ROW:
            return
        kept: deque[bytes] = deque()
        while self._backlog and self._backlog_bytes > BACKLOG_BYTES:
            held = self._backlog.popleft()
            if FRAME.unpack_from(held)[1] == KIND_ROW:
                self._backlog_bytes -= len(held)
                self.dropped_rows += 1
            else:
                kept.append(held)
        self._backlog.extendleft(reversed(kept))

    def _cut(self, written: int) -> None:
        """Take back a frame of which only `written` bytes were written."""
        with contextlib.suppress(OSError):  # a torn frame that cannot be cut is skipped by the reader
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)

    def _rotate(self) -> None:
        """Begin the next segment, so that a shipped one can be deleted while the run goes on."""
        try:
            # The file's own word: an interrupt between a write and our count of it leaves the count behind.
            self.offset = self._segment_start + os.fstat(self._fd).st_size - len(MAGIC) - 8
            fd = self._open_segment(self.path)
        except OSError:
            return  # stays in the present segment, which may grow; tried again at the next frame
        os.close(self._fd)
        self._fd = fd

    def sync(self) -> None:
        """Have the disk itself hold everything written so far."""
        with contextlib.suppress(OSError):
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Stop writing; the folder stays, and is this process's until `release`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def release(self) -> None:
        """Give the folder up to whoever ships it."""
        self.close()
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1

    def abandon(self) -> None:
        """Let go of the file descriptors in a forked child, where they are the parent's."""
        for fd in (self._fd, self._owner):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._fd = self._owner = -1


def _translate(error: OSError, path: Path) -> StorageError:
    if error.errno in _NO_SPACE:
        return StorageFull(
            f"No space left for the spool in {path}.",
            hint="Free some space; what was logged meanwhile is kept in memory up to 16 MiB.",
            details={"path": str(path)},
        )
    return StorageError(
        f"The spool in {path} cannot be written: {error.strerror or error}.",
        hint="Check the folder's owner and mode, or set WEIGHBRIDGE_HOME to another folder.",
        details={"path": str(path), "errno": error.errno},
    )
