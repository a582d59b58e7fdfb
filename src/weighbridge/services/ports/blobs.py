"""The port of a content-addressed blob store: bytes in, digests out; no names, no rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

Digest = str
"""BLAKE3-256 of the bytes, 64 lower-case hexadecimal characters."""

Progress = Callable[[int, int], None]
"""Called with (files done, bytes done) since the call began; may be called from any thread."""


class BlobInfo(msgspec.Struct, frozen=True, gc=False):
    """What a store knows of one blob."""

    digest: Digest
    size_bytes: int


class Fetch(msgspec.Struct, frozen=True, gc=False):
    """One blob to be written to one local file."""

    digest: Digest
    size_bytes: int
    target: Path


class BlobStore(Protocol):
    """Content-addressed bytes. Every method is safe to call from many threads and processes at once.

    A blob is visible whole or not at all; storing a digest that is there already is a no-op.
    """

    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`; return its digest and size. Durable on return."""
        ...

    def put_files(self, paths: Sequence[Path], *, progress: Progress | None = None) -> list[BlobInfo]:
        """Store regular files, each cloned or copied and hashed in one pass; infos in the order of `paths`.

        Symbolic links are followed. Blobs become visible in groups of at most 10,000 files or about 4 GiB, each
        group flushed before it is visible; content and name are durable on return. Putting bytes again repairs a
        damaged blob. Raises SourceChanged (file grew, shrank, changed or vanished meanwhile; names it), StorageFull,
        InvalidInput (not a regular file).
        """
        ...

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """The ones of `digests` that the store does not hold."""
        ...

    def read(self, digest: Digest, *, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a blob. A read of the whole blob is checked against its digest; a range is not.

        A range past the end is cut. Raises BlobNotFound, DigestMismatch (details: expected, actual), InvalidInput
        (no digest, a negative range).
        """
        ...

    def fetch_files(self, fetches: Sequence[Fetch], *, progress: Progress | None = None) -> None:
        """Write each blob to its target, hashing what was written; targets appear whole or not at all.

        A target with the right content is left alone, any other replaced, a link never followed. Parent folders
        are made; targets are not flushed. Raises BlobNotFound, DigestMismatch (names the target, both digests),
        StorageFull.
        """
        ...

    def delete(self, digest: Digest) -> None:
        """Remove a blob; no-op if absent."""
        ...

    def iter_blobs(self) -> Iterator[BlobInfo]:
        """Every blob in the store, in no order."""
        ...
