"""Blobs in the memory of one process, for tests. It keeps the port's contract, except that nothing outlives it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from blake3 import blake3

from weighbridge.domain.names import is_digest
from weighbridge.errors import BlobNotFound, DigestMismatch, InvalidInput, SourceChanged
from weighbridge.services.ports.blobs import BlobInfo, Digest, Fetch, Progress
from weighbridge.storage.blobs.disk_errors import source_error, storage_error


class MemoryBlobStore:
    """A BlobStore that holds every byte in memory; threads may share it, processes can't."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._lock = threading.Lock()

    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`; return its digest and size."""
        digest = blake3(data).hexdigest()
        with self._lock:
            self._blobs[digest] = bytes(data)
        return BlobInfo(digest=digest, size_bytes=len(data))

    def put_files(self, paths: Sequence[Path], *, progress: Progress | None = None) -> list[BlobInfo]:
        """Store regular files; raises SourceChanged (vanished), InvalidInput (not a regular file)."""
        infos: list[BlobInfo] = []
        size_bytes = 0
        for path in paths:
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    raise InvalidInput(f"{str(path)!r} is not a regular file.", hint="Add files only.")
                before = os.stat(path)
                data = path.read_bytes()
                after = os.stat(path)
            except OSError as error:
                raise source_error(error, path) from error
            if (before.st_size, before.st_mtime_ns) != (len(data), after.st_mtime_ns):
                raise SourceChanged(
                    f"File {str(path)!r} changed while it was being added.", hint="Add it again."
                )
            infos.append(self.put_bytes(data))
            size_bytes += len(data)
            if progress is not None:
                progress(len(infos), size_bytes)
        return infos

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """The ones of `digests` that the store does not hold."""
        wanted = {_checked(digest) for digest in digests}
        with self._lock:
            return wanted - self._blobs.keys()

    def read(self, digest: Digest, *, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a blob, checked against its digest if all of them are asked for."""
        if start < 0 or (length is not None and length < 0):
            raise InvalidInput(f"A range can't begin at {start} with length {length}.", hint="Use 0 or more.")
        data = self._get(digest)
        if start == 0 and (length is None or length >= len(data)):
            actual = blake3(data).hexdigest()
            if actual != digest:
                raise DigestMismatch(
                    f"Blob {digest} in memory was altered: its digest is {actual}.",
                    hint="Put the original bytes again.",
                    details={"expected": digest, "actual": actual},
                )
            return data
        return data[start:] if length is None else data[start : start + length]

    def fetch_files(self, fetches: Sequence[Fetch], *, progress: Progress | None = None) -> None:
        """Write each blob to its target; raises BlobNotFound, DigestMismatch (names the target, both digests)."""
        size_bytes = 0
        for number, fetch in enumerate(fetches, start=1):
            data = self._get(fetch.digest)
            actual = blake3(data).hexdigest()
            if (actual, len(data)) != (fetch.digest, fetch.size_bytes):
                raise DigestMismatch(
                    f"{str(fetch.target)!r} was not written: the blob has digest {actual} and {len(data):,} bytes, "
                    f"but should have {fetch.digest} and {fetch.size_bytes:,}.",
                    hint="Put the original bytes again.",
                    details={"target": str(fetch.target), "expected": fetch.digest, "actual": actual},
                )
            _write(fetch.target, data)
            size_bytes += len(data)
            if progress is not None:
                progress(number, size_bytes)

    def delete(self, digest: Digest) -> None:
        """Remove a blob; no-op if absent."""
        with self._lock:
            self._blobs.pop(_checked(digest), None)

    def iter_blobs(self) -> Iterator[BlobInfo]:
        """Every blob in the store, in no order."""
        with self._lock:
            blobs = [BlobInfo(digest, len(data)) for digest, data in self._blobs.items()]
        return iter(blobs)

    def alter(self, digest: Digest, data: bytes) -> None:
        """Damage a blob on purpose: what a broken disk does to a file, for tests."""
        with self._lock:
            self._blobs[_checked(digest)] = data

    def _get(self, digest: Digest) -> bytes:
        with self._lock:
            data = self._blobs.get(_checked(digest))
        if data is None:
            raise BlobNotFound(
                f"Blob {digest} is not in the store.", hint="Put it first.", details={"digest": digest}
            )
        return data


def _checked(digest: Digest) -> Digest:
    if not is_digest(digest):
        raise InvalidInput(
            f"{digest[:80]!r} is not a digest.", hint="Give 64 lower-case hexadecimal characters."
        )
    return digest


def _write(target: Path, data: bytes) -> None:
    temporary = target.parent / f".weighbridge-{os.getpid()}-{threading.get_ident()}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink() and target.is_file() and target.read_bytes() == data:
            return
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, doing=f"Fetching into {str(target)!r}") from error
