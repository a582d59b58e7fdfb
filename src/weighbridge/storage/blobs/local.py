"""Blobs as files of one folder: `root/ab/cdef...`, written in `root/tmp/` and renamed into place.

It stores and returns bytes by digest, and promises what docs/design/0004-blobs.md says about kill and power
loss. It knows no names, versions or owners, and decides nothing about what may be deleted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from blake3 import blake3

from weighbridge.domain.names import is_digest
from weighbridge.errors import BlobNotFound, DigestMismatch, InvalidInput
from weighbridge.services.ports.blobs import BlobInfo, Digest, Fetch, Progress
from weighbridge.storage.blobs.copying import Clone, clone_file
from weighbridge.storage.blobs.disk_errors import storage_error
from weighbridge.storage.blobs.fetching import FetchJob
from weighbridge.storage.blobs.flushing import flush_files, flush_folders
from weighbridge.storage.blobs.putting import PutJob, Staged, discard, stage_bytes

STALE_S: Final = 86_400.0
"""A temporary file untouched for so long belongs to a dead process and is removed."""

_FAN_OUT: Final = 256


class LocalBlobStore:
    """A BlobStore on a local (or mounted) file system; the folder is made by the first write.

    clone: how a file is cloned where the file system can; given only by tests.
    """

    def __init__(self, root: Path, *, clone: Clone = clone_file) -> None:
        self._root = os.path.abspath(root)
        self._tmp = os.path.join(self._root, "tmp")
        self._clone = clone
        self._prepared = False
        self._lock = threading.Lock()

    @property
    def root(self) -> Path:
        """The folder that holds the blobs."""
        return Path(self._root)

    def path_of(self, digest: Digest) -> Path:
        """Where the blob lies, or would lie; raises InvalidInput for anything but a digest."""
        return Path(self._path(digest))

    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`; return its digest and size. Durable on return."""
        self._prepare()
        digest = blake3(data).hexdigest()
        with self._writing(), self._root_fd() as root_fd:
            staged = stage_bytes(data, digest, target=self._path(digest), temporary=self._temporary())
            self._publish([staged] if staged else [], {self._folder(digest)}, root_fd=root_fd)
        return BlobInfo(digest=digest, size_bytes=len(data))

    def put_files(self, paths: Sequence[Path], *, progress: Progress | None = None) -> list[BlobInfo]:
        """Store regular files, each cloned or copied and hashed in one pass; infos in the order of `paths`.

        Symbolic links are followed. Files become visible in groups of at most 10,000 files or about 4 GiB, each
        group flushed first, so that an interrupted big put is not begun again from nothing. Durable on
        return. Raises SourceChanged, StorageFull, InvalidInput (not a regular file, unreadable).
        """
        if not paths:
            return []
        self._prepare()
        job = PutJob(
            [os.fspath(path) for path in paths],
            path_of=self._place,
            temporary=self._temporary(),
            clone=self._clone,
            progress=progress,
        )
        with self._writing(), self._root_fd() as root_fd:
            while not job.is_done:
                staged, folders = job.stage_group()
                self._publish(staged, folders, root_fd=root_fd)
        return job.infos()

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """The ones of `digests` that the store does not hold."""
        return {digest for digest in set(digests) if not os.path.lexists(self._path(digest))}

    def read(self, digest: Digest, *, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a blob, checked against its digest if all of them are asked for.

        A range that reaches past the end is cut there. Raises BlobNotFound, DigestMismatch, InvalidInput
        (negative start or length).
        """
        if start < 0 or (length is not None and length < 0):
            raise InvalidInput(
                f"A range of blob {digest} can't begin at {start} with length {length}.",
                hint="Use a start and a length of 0 or more.",
            )
        path = self._path(digest)
        try:
            with open(path, "rb", buffering=0) as file:
                size_bytes = os.fstat(file.fileno()).st_size
                whole = start == 0 and (length is None or length >= size_bytes)
                file.seek(start)
                data = _read_up_to(file.fileno(), size_bytes - start if length is None else length)
        except FileNotFoundError as error:
            raise _not_found(digest) from error
        except OSError as error:
            raise storage_error(error, doing=f"Reading blob {path!r}") from error
        if whole and (actual := blake3(data).hexdigest()) != digest:
            raise _mismatch(path, expected=digest, actual=actual)
        return data

    def fetch_files(self, fetches: Sequence[Fetch], *, progress: Progress | None = None) -> None:
        """Write each blob to its target, hashing what was written; targets appear by rename, whole.

        A target that already holds the right bytes is left alone; any other file there is replaced, a symbolic link
        never followed. Parent folders are made. Targets are not flushed: a power loss may cost them, and
        the next fetch notices. Raises BlobNotFound, DigestMismatch (names the target, both digests), StorageFull.
        """
        if fetches:
            FetchJob(fetches, path_of=self._path, clone=self._clone, progress=progress).run()

    def delete(self, digest: Digest) -> None:
        """Remove a blob; no-op if absent."""
        path = self._path(digest)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, doing=f"Deleting blob {path!r}") from error

    def iter_blobs(self) -> Iterator[BlobInfo]:
        """Every blob in the store, in no order; one that is deleted meanwhile may be left out."""
        for number in range(_FAN_OUT):
            prefix = f"{number:02x}"
            folder = os.path.join(self._root, prefix)
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if is_digest(prefix + entry.name):
                            with contextlib.suppress(FileNotFoundError):
                                yield BlobInfo(prefix + entry.name, entry.stat(follow_symlinks=False).st_size)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise storage_error(error, doing=f"Listing {folder!r}") from error

    def _path(self, digest: Digest) -> str:
        if not is_digest(digest):
            raise InvalidInput(
                f"{digest[:80]!r} is not a digest.", hint="Give 64 lower-case hexadecimal characters."
            )
        return self._place(digest)

    def _place(self, digest: Digest) -> str:
        return f"{self._root}/{digest[:2]}/{digest[2:]}"

    def _folder(self, digest: Digest) -> str:
        return f"{self._root}/{digest[:2]}"

    def _temporary(self) -> str:
        """A prefix of temporary paths that no other call uses."""
        return f"{self._tmp}/{os.getpid()}-{secrets.token_hex(6)}-"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, doing=f"Writing to the blob store {self._root!r}") from error

    @contextlib.contextmanager
    def _root_fd(self) -> Iterator[int]:
        fd = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def _publish(self, staged: Sequence[Staged], folders: set[str], *, root_fd: int) -> None:
        """Flush content, then make it visible, then flush the names. The order is the durability promise."""
        try:
            flush_files([item.temporary for item in staged], root_fd=root_fd)
            for item in staged:
                os.rename(item.temporary, item.target)
        except BaseException:
            discard(staged)
            raise
        flush_folders(folders, root_fd=root_fd)

    def _prepare(self) -> None:
        with self._lock:
            if self._prepared:
                return
            with self._writing():
                if not (os.path.isdir(f"{self._root}/ff") and os.path.isdir(self._tmp)):
                    for name in ("tmp", *(f"{number:02x}" for number in range(_FAN_OUT))):
                        os.makedirs(os.path.join(self._root, name), exist_ok=True)
                    self._flush_layout()
                self._remove_stale()
            self._prepared = True

    def _flush_layout(self) -> None:
        with self._root_fd() as root_fd:
            flush_folders([self._root, os.path.dirname(self._root)], root_fd=root_fd)

    def _remove_stale(self) -> None:
        oldest = time.time() - STALE_S
        with os.scandir(self._tmp) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # its owner, or another opener, was faster
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_mtime < oldest:
                        os.unlink(entry.path)


def _read_up_to(fd: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := os.read(fd, min(count, 1 << 26))):
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _not_found(digest: Digest) -> BlobNotFound:
    return BlobNotFound(
        f"Blob {digest} is not in the store.",
        hint="Log the artifact that holds it again, or restore the store from a backup.",
        details={"digest": digest},
    )


def _mismatch(path: str, *, expected: Digest, actual: Digest) -> DigestMismatch:
    return DigestMismatch(
        f"Blob file {path!r} was altered: its digest is {actual}, but should be {expected}.",
        hint="Log the original file again, which repairs the blob, or restore it from a backup.",
        details={"path": path, "expected": expected, "actual": actual},
    )
