"""Hashes stored bytes again, in bounded memory, through the transport. It repairs nothing and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.errors import BlobNotFound, DigestMismatch

if TYPE_CHECKING:
    from weighbridge.domain.manifest import ManifestEntry
    from weighbridge.sdk.client import Client

PIECE_BYTES: Final = 8 << 20
MISSING_MAX: Final = 1_000
"""Digests that are asked for at once."""


class Damage(NamedTuple):
    """One stored file that is not what its digest says. `actual` None: its bytes are gone."""

    path: str
    expected: str
    actual: str | None

    def __str__(self) -> str:
        if self.actual is None:
            return f"{self.path}: the bytes of digest {self.expected} are missing"
        return f"{self.path}: digest {self.actual} instead of {self.expected}"


def damaged_entries(client: Client, entries: Iterable[ManifestEntry]) -> Iterator[Damage]:
    """Hash the blobs of entries again, one digest once; those that are missing or altered."""
    checked: set[str] = set()
    for entry in entries:
        if entry.ref is not None or entry.digest in checked:
            continue
        checked.add(entry.digest)
        actual = actual_digest(client, entry.digest, entry.size_bytes)
        if actual != entry.digest:
            yield Damage(entry.path, entry.digest, actual)


def missing_entries(client: Client, entries: Iterable[ManifestEntry]) -> Iterator[Damage]:
    """The entries whose blob is not in the store; nothing is read."""
    held = [entry for entry in entries if entry.ref is None]
    for start in range(0, len(held), MISSING_MAX):
        group = held[start : start + MISSING_MAX]
        absent = client.transport.blobs.missing({entry.digest for entry in group})
        for entry in group:
            if entry.digest in absent:
                yield Damage(entry.path, entry.digest, None)


def actual_digest(client: Client, digest: str, size_bytes: int) -> str | None:
    """BLAKE3 of what is stored under a digest, and of a byte past the size, if there is one; None if it is gone."""
    import blake3

    hasher = blake3.blake3()
    blobs = client.transport.blobs
    start = 0
    try:
        # one byte more than the size is asked for, so that bytes appended to a blob are seen
        while piece := blobs.read(digest, start=start, length=min(PIECE_BYTES, size_bytes + 1 - start)):
            hasher.update(piece)
            start += len(piece)
            if start > size_bytes:
                break
    except BlobNotFound:
        return None
    except DigestMismatch as error:  # a small blob, which the store checks as it reads it
        return str(error.details.get("actual"))
    return str(hasher.hexdigest())
