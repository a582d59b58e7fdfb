"""Brings files into the store's temporary folder, hashed and checked for change. It publishes and flushes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from blake3 import blake3

from weighbridge.errors import InvalidInput, SourceChanged
from weighbridge.services.ports.blobs import BlobInfo, Digest, Progress
from weighbridge.storage.blobs.copying import SMALL_MAX_BYTES, Clone, Copied, Pipeline, read_small, write_all
from weighbridge.storage.blobs.disk_errors import source_error, storage_error
from weighbridge.storage.blobs.workers import Workers

GROUP_FILES_MAX: Final = 10_000
GROUP_BYTES_MAX: Final = 4 << 30
"""A group is published when it passes either bound: enough to make flushes rare, little enough to lose."""

_BLOB_MODE: Final = 0o444
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Staged(NamedTuple):
    """A finished temporary file and the place it is to be renamed to."""

    temporary: str
    target: str


def stage_bytes(data: bytes, digest: Digest, *, target: str, temporary: str) -> Staged | None:
    """Write `data` to `temporary`, or nothing and None if `target` holds those bytes already; raises OSError.

    Bytes that are there are compared, not believed, so that putting a file again repairs a damaged blob.
    """
    if len(data) <= SMALL_MAX_BYTES and _holds(target, data):
        return None
    fd = os.open(temporary, _NEW, _BLOB_MODE)
    try:
        write_all(fd, data)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    return Staged(temporary, target)


def discard(staged: Iterable[Staged]) -> None:
    """Remove temporary files that will not be published."""
    for item in staged:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(item.temporary)


class PutJob:
    """The files of one `put_files` call: staged group by group, in the order given."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        path_of: Callable[[Digest], str],
        temporary: str,
        clone: Clone,
        progress: Progress | None,
    ) -> None:
        self._paths = paths
        self._path_of = path_of
        self._temporary = temporary
        self._workers = Workers(len(paths), clone=clone, progress=progress)
        self._infos: list[BlobInfo | None] = [None] * len(paths)
        self._lock = threading.Lock()
        self._claimed: set[Digest] = set()
        self._staged: list[Staged] = []

    @property
    def is_done(self) -> bool:
        """Whether no group is left."""
        return self._workers.is_done

    def stage_group(self) -> tuple[list[Staged], set[str]]:
        """The next group's new files, and every folder whose names the group relies on.

        A folder counts even if its blob was there before: another process may have renamed it in this instant.
        """
        self._staged, self._claimed = [], set()
        try:
            self._workers.run(self._stage, files_max=GROUP_FILES_MAX, bytes_max=GROUP_BYTES_MAX)
        except BaseException:
            discard(self._staged)
            raise
        one_of_each = {digest[:2]: digest for digest in self._claimed}.values()
        return self._staged, {os.path.dirname(self._path_of(digest)) for digest in one_of_each}

    def infos(self) -> list[BlobInfo]:
        """One info for each path, in order, after the last group."""
        return [info for info in self._infos if info is not None]

    def _stage(self, index: int, pipeline: Pipeline) -> None:
        path = self._paths[index]
        fd = _open_source(path)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise _not_regular(path)
            if before.st_size <= SMALL_MAX_BYTES:
                copied = self._stage_small(index, fd, before)
            else:
                copied = self._stage_big(index, fd, before, pipeline)
        finally:
            os.close(fd)
        self._infos[index] = BlobInfo(digest=copied.digest, size_bytes=copied.size_bytes)

    def _stage_small(self, index: int, fd: int, before: os.stat_result) -> Copied:
        try:
            data = read_small(fd, before.st_size)
        except OSError as error:
            raise source_error(error, self._paths[index]) from error
        _check_unchanged(self._paths[index], before, os.fstat(fd), len(data))
        digest = blake3(data).hexdigest()
        if self._claim(digest):
            staged = stage_bytes(
                data, digest, target=self._path_of(digest), temporary=f"{self._temporary}{index}"
            )
            if staged is not None:
                self._staged.append(staged)
        self._workers.advance(len(data))
        return Copied(digest, len(data))

    def _stage_big(self, index: int, fd: int, before: os.stat_result, pipeline: Pipeline) -> Copied:
        path, temporary = self._paths[index], f"{self._temporary}{index}"
        target = os.open(temporary, _NEW, _BLOB_MODE)
        keep = False
        try:
            try:
                copied = pipeline.copy(fd, target, advance=self._workers.advance, write_out=True)
            except OSError as error:
                raise storage_error(error, doing=f"Copying {path!r} into the blob store") from error
            _check_unchanged(path, before, os.fstat(fd), copied.size_bytes)
            keep = self._claim(copied.digest)
        finally:
            os.close(target)
            if not keep:
                os.unlink(temporary)
        if keep:
            self._staged.append(Staged(temporary, self._path_of(copied.digest)))
        return copied

    def _claim(self, digest: Digest) -> bool:
        """Whether this file is the first of the group with these bytes."""
        with self._lock:
            if digest in self._claimed:
                return False
            self._claimed.add(digest)
            return True


def _holds(path: str, data: bytes) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return read_small(fd, len(data)) == data
    finally:
        os.close(fd)


def _open_source(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a fifo must not block us
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _not_regular(path) from error
        raise source_error(error, path) from error
    except ValueError as error:  # a NUL in the path
        raise InvalidInput(f"{path[:200]!r} can't be a path.", hint="Remove the NUL character.") from error


def _check_unchanged(path: str, before: os.stat_result, after: os.stat_result, size_bytes: int) -> None:
    if size_bytes == before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns:
        return
    raise SourceChanged(
        f"File {path!r} changed while it was being added: it had {before.st_size:,} bytes, "
        f"then {max(size_bytes, after.st_size):,}, last modified at {after.st_mtime_ns / 1e9:.3f}.",
        hint="Wait until its writer is done, then add it again.",
        details={"path": path, "size_bytes_before": before.st_size, "size_bytes_after": after.st_size},
    )


def _not_regular(path: str) -> InvalidInput:
    return InvalidInput(
        f"{path!r} is not a regular file.",
        hint="Add files; a folder is added file by file, and sockets, pipes and devices can't be stored.",
        details={"path": path},
    )
