"""The blob stores that the contract suite runs over. A new adapter joins by one function here, added to ADAPTERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from weighbridge.services.ports.blobs import BlobStore
from weighbridge.storage.blobs.local import LocalBlobStore
from weighbridge.storage.blobs.memory import MemoryBlobStore


@dataclass(frozen=True)
class StoreCase:
    """An empty store, and what a test can't do through the port.

    damage: replace the stored bytes of a digest behind the store's back. root: where another process opens the same
    store with `LocalBlobStore(root)`, None where no other process can.
    """

    store: BlobStore
    damage: Callable[[str, bytes], None]
    root: Path | None = None


def local_case(folder: Path) -> StoreCase:
    store = LocalBlobStore(folder / "blobs")

    def damage(digest: str, data: bytes) -> None:
        path = store.path_of(digest)
        path.chmod(0o644)
        path.write_bytes(data)

    return StoreCase(store, damage, store.root)


def memory_case(_folder: Path) -> StoreCase:
    store = MemoryBlobStore()
    return StoreCase(store, store.alter)


ADAPTERS: Final[dict[str, Callable[[Path], StoreCase]]] = {"local": local_case, "memory": memory_case}
