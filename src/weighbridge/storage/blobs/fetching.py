"""Writes blobs to local files, checked against their digests; a target appears whole or not at all.

It flushes nothing: a target lost to a power failure is noticed and fetched again.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from blake3 import blake3

from weighbridge.errors import BlobNotFound, DigestMismatch, InvalidInput
from weighbridge.services.ports.blobs import Digest, Fetch, Progress
from weighbridge.storage.blobs.copying import SMALL_MAX_BYTES, Clone, Copied, Pipeline, read_small, write_all
from weighbridge.storage.blobs.disk_errors import storage_error
from weighbridge.storage.blobs.workers import WORKERS_MAX, Workers

_DESCRIPTORS: Final = "/proc/self/fd"
_NAMED: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
TINY_BYTES: Final = 32 * 1024
"""Mean size below which one thread fetches faster than two: 5,000 x 10 KiB took 0.29 s against 0.39 s."""
_numbers = itertools.count()


class FetchJob:
    """The fetches of one call."""

    def __init__(
        self,
        fetches: Sequence[Fetch],
        *,
        path_of: Callable[[Digest], str],
        clone: Clone,
        progress: Progress | None,
    ) -> None:
        self._fetches = fetches
        self._path_of = path_of
        # Below some 32 KiB a file is all system calls: two threads then only take the interpreter lock from each other.
        is_tiny = sum(fetch.size_bytes for fetch in fetches) < len(fetches) * TINY_BYTES
        threads = 1 if is_tiny else WORKERS_MAX
        self._workers = Workers(len(fetches), clone=clone, progress=progress, threads_max=threads)
        self._new_folders: set[str] = set()

    def run(self) -> None:
        """Write every target; raises the first error, with the targets done so far in place."""
        for folder in {os.path.dirname(os.fspath(fetch.target)) for fetch in self._fetches}:
            try:
                if folder and not os.path.isdir(folder):
                    os.makedirs(folder, exist_ok=True)
                    self._new_folders.add(folder)
            except OSError as error:
                raise storage_error(error, doing=f"Making folder {folder!r}") from error
            except ValueError as error:
                raise InvalidInput(f"{folder[:200]!r} can't be a path.", hint="Remove the NUL.") from error
        count = len(self._fetches)
        self._workers.run(self._fetch, files_max=count, bytes_max=sys.maxsize)

    def _fetch(self, index: int, pipeline: Pipeline) -> None:
        fetch = self._fetches[index]
        target, path = os.fspath(fetch.target), self._path_of(fetch.digest)
        try:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise _not_found(fetch.digest, target) from error
        except OSError as error:
            raise storage_error(error, doing=f"Opening blob {path!r}") from error
        try:
            if os.fstat(source).st_size <= SMALL_MAX_BYTES:
                self._fetch_small(fetch, source, target)
            else:
                self._fetch_big(fetch, source, target, pipeline)
        except OSError as error:
            raise storage_error(error, doing=f"Fetching blob {fetch.digest} into {target!r}") from error
        finally:
            os.close(source)

    def _fetch_small(self, fetch: Fetch, source: int, target: str) -> None:
        data = read_small(source, os.fstat(source).st_size)
        self._check(fetch, target, Copied(blake3(data).hexdigest(), len(data)))
        with self._existing(target) as existing:
            is_there = (
                existing is not None
                and os.fstat(existing).st_size == len(data)
                and read_small(existing, len(data)) == data
            )
        if not is_there:
            with _appearing(target) as fd:
                write_all(fd, data)
        self._workers.advance(len(data))

    def _fetch_big(self, fetch: Fetch, source: int, target: str, pipeline: Pipeline) -> None:
        with self._existing(target) as existing:
            if existing is not None and os.fstat(existing).st_size == fetch.size_bytes:
                there = pipeline.hash(existing)
                if there == Copied(fetch.digest, fetch.size_bytes):
                    self._workers.advance(fetch.size_bytes)
                    return
        with _appearing(target) as fd:
            self._check(fetch, target, pipeline.copy(source, fd, advance=self._workers.advance))

    @contextlib.contextmanager
    def _existing(self, target: str) -> Iterator[int | None]:
        """The regular file that is at `target` now, open for reading, or None."""
        if os.path.dirname(target) in self._new_folders:
            yield None  # made by this call; should another process write there too, its file is replaced
            return
        try:
            if not stat.S_ISREG(os.lstat(target).st_mode):
                yield None
                return
            fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, PermissionError):
            yield None
            return
        try:
            yield fd
        finally:
            os.close(fd)

    def _check(self, fetch: Fetch, target: str, found: Copied) -> None:
        if found == Copied(fetch.digest, fetch.size_bytes):
            return
        path = self._path_of(fetch.digest)
        raise DigestMismatch(
            f"{target!r} was not written: blob file {path!r} has digest {found.digest} and {found.size_bytes:,} "
            f"bytes, but should have {fetch.digest} and {fetch.size_bytes:,}.",
            hint="Log the original file again, which repairs the blob, or restore it from a backup.",
            details={
                "target": target,
                "path": path,
                "expected": fetch.digest,
                "actual": found.digest,
                "expected_bytes": fetch.size_bytes,
                "actual_bytes": found.size_bytes,
            },
        )


@contextlib.contextmanager
def _appearing(target: str) -> Iterator[int]:
    """An empty file that takes the place of `target` when the block ends well, and is gone otherwise.

    Where the system can, the file has no name until it is whole, so that even a killed process leaves nothing.
    """
    fd = _nameless(os.path.dirname(target) or ".")
    if fd is not None:
        try:
            yield fd
            _give_name(fd, target)
        finally:
            os.close(fd)
        return
    temporary = _beside(target)
    fd = os.open(temporary, _NAMED, 0o666)
    try:
        try:
            yield fd
        finally:
            os.close(fd)
        os.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _nameless(folder: str) -> int | None:
    if sys.platform != "linux" or not _has_descriptor_names():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError:
        return None  # no O_TMPFILE on this file system; a real obstacle shows again with a named file


@functools.cache
def _has_descriptor_names() -> bool:
    return os.path.isdir(_DESCRIPTORS)


def _give_name(fd: int, target: str) -> None:
    source = f"{_DESCRIPTORS}/{fd}"
    # src_dir_fd has no use for an absolute path, but makes Python call linkat with AT_SYMLINK_FOLLOW.
    try:
        os.link(source, target, src_dir_fd=fd, follow_symlinks=True)
    except FileExistsError:
        temporary = _beside(target)
        os.link(source, temporary, src_dir_fd=fd, follow_symlinks=True)
        try:
            os.rename(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise


def _beside(target: str) -> str:
    return os.path.join(os.path.dirname(target), f".weighbridge-{os.getpid()}-{next(_numbers)}.part")


def _not_found(digest: Digest, target: str) -> BlobNotFound:
    return BlobNotFound(
        f"Blob {digest}, wanted for {target!r}, is not in the store.",
        hint="Log the artifact that holds it again, or restore the store from a backup.",
        details={"digest": digest, "target": target},
    )
