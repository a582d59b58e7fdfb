"""The port of artifact versions and of the memberships that number them in collections. No rules."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from weighbridge.domain.artifact import VersionRecord
from weighbridge.services.ports.collections import Collection
from weighbridge.services.ports.transaction import Transaction


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A version's place in one collection. Its number there is given once and never again."""

    membership_id: int
    collection_id: int
    version_id: int
    version_index: int
    is_deleted: bool = False
    """Whether the version is a tombstone."""

    @property
    def version(self) -> str:
        """`vN`."""
        return f"v{self.version_index}"


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version in the sequence it was logged into; `updated_at` of a deleted one is when it was deleted."""

    version_id: int
    source: Collection
    version_index: int
    client_id: str
    digest: str
    manifest_digest: str
    producer_pk: int | None
    updated_at: float
    is_deleted: bool

    @property
    def path(self) -> str:
        """`entity/project/sequence:vN`."""
        return f"{self.source.path}:v{self.version_index}"


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a version. `metadata` is text from VersionStore.encode."""

    collection_id: int
    client_id: str
    digest: str
    manifest_digest: str
    description: str
    metadata: str
    size_bytes: int
    file_count: int
    history_step: int | None
    producer_pk: int | None
    created_at: float
    at: float


class VersionStore(Protocol):
    """Keeps versions and memberships."""

    def encode(self, metadata: dict[str, Any]) -> str:
        """Metadata as the text that is stored. Raises InvalidInput for what JSON cannot hold."""
        ...

    def find(self, tx: Transaction, version_id: int) -> StoredVersion | None:
        """A version by id, tombstones included."""
        ...

    def find_by_client_id(self, tx: Transaction, client_id: str) -> StoredVersion | None:
        """The version that a client's id made, tombstones included."""
        ...

    def create(self, tx: Transaction, new: NewVersion) -> Membership:
        """Make a version with the next number of its sequence."""
        ...

    def add_membership(
        self, tx: Transaction, collection_id: int, version_id: int, *, at: float
    ) -> Membership:
        """Place a version in a collection with the collection's next number."""
        ...

    def remove_membership(self, tx: Transaction, membership_id: int) -> None:
        """Take a version out of a collection. Its aliases must be gone."""
        ...

    def membership(self, tx: Transaction, collection_id: int, version_id: int) -> Membership | None:
        """Where a version stands in a collection."""
        ...

    def membership_at(self, tx: Transaction, collection_id: int, version_index: int) -> Membership | None:
        """What holds a number in a collection."""
        ...

    def was_numbered(self, tx: Transaction, collection_id: int, version_index: int) -> bool:
        """Whether a number was ever given in a collection."""
        ...

    def same_content(self, tx: Transaction, sequence_id: int, digest: str) -> Membership | None:
        """The live version of a sequence with this digest; there is one at most, since logging looks here."""
        ...

    def with_digest(self, tx: Transaction, collection_id: int, prefix: str) -> tuple[Membership, ...]:
        """Live memberships whose digest begins with `prefix`, newest first, one per digest, at most 3."""
        ...

    def newest(self, tx: Transaction, collection_id: int) -> Membership | None:
        """The live membership with the highest number."""
        ...

    def memberships_of(self, tx: Transaction, version_id: int) -> tuple[Membership, ...]:
        """Every place of a version, oldest first."""
        ...

    def page(
        self, tx: Transaction, collection_id: int, *, before: int | None, limit: int
    ) -> tuple[Membership, ...]:
        """Live memberships with numbers below `before`, highest first."""
        ...

    def records(self, tx: Transaction, membership_ids: tuple[int, ...]) -> tuple[VersionRecord, ...]:
        """Full records in the order asked for."""
        ...

    def describe(
        self, tx: Transaction, version_id: int, *, description: str | None, metadata: str | None, at: float
    ) -> None:
        """Change the description, the metadata (text from `encode`) or both; None leaves as is."""
        ...

    def tags(self, tx: Transaction, version_id: int) -> tuple[str, ...]:
        """Tags by name."""
        ...

    def set_tags(self, tx: Transaction, version_id: int, tags: tuple[str, ...]) -> None:
        """Replace the tags."""
        ...

    def set_producer(
        self, tx: Transaction, version_id: int, *, producer_pk: int, history_step: int | None
    ) -> None:
        """Name the run that made a version that had none."""
        ...

    def mark_deleted(self, tx: Transaction, version_id: int, *, at: float) -> None:
        """Leave a tombstone."""
        ...
