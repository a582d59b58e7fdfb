"""The port of artifact collections: named series of versions, without their rules."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.domain.artifact import CollectionKind, CollectionRecord
from weighbridge.services.ports.transaction import Transaction


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies a collection. A deleted one is a tombstone that only its versions still lead to."""

    collection_id: int
    entity: str
    project: str
    name: str
    kind: CollectionKind
    type: str
    is_deleted: bool = False

    @property
    def path(self) -> str:
        """`entity/project/name`."""
        return f"{self.entity}/{self.project}/{self.name}"


class NewCollection(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a collection."""

    project_pk: int
    name: str
    kind: CollectionKind
    type: str
    at: float
    description: str = ""


class CollectionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes in a collection; None leaves as is."""

    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    at: float


class CollectionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which collections of a project: by type, kind, part of name or description; names after `after`."""

    entity: str
    project: str
    type: str | None = None
    kind: CollectionKind | None = None
    query: str = ""
    after: str | None = None
    limit: int


class CollectionStore(Protocol):
    """Keeps collections. Names are unique in a project over both kinds; no tombstone is found by name."""

    def find(self, tx: Transaction, entity: str, project: str, *, name: str) -> Collection | None:
        """The live collection of this name."""
        ...

    def by_id(self, tx: Transaction, collection_ids: tuple[int, ...]) -> dict[int, Collection]:
        """Collections by id, tombstones included; at most 5,000."""
        ...

    def was_deleted(self, tx: Transaction, entity: str, project: str, *, name: str) -> bool:
        """Whether a collection of this name was deleted."""
        ...

    def create(self, tx: Transaction, new: NewCollection) -> int:
        """Make a collection; its id. The caller has looked that the name is free."""
        ...

    def names(self, tx: Transaction, entity: str, project: str) -> tuple[str, ...]:
        """Names of at most addresses.NAMES_MAX live collections, newest first."""
        ...

    def records(self, tx: Transaction, collection_ids: tuple[int, ...]) -> tuple[CollectionRecord, ...]:
        """Full records in the order asked for, with live version counts, aliases and tags."""
        ...

    def page(self, tx: Transaction, query: CollectionQuery) -> tuple[int, ...]:
        """Ids of live collections by name, at most `query.limit`."""
        ...

    def update(self, tx: Transaction, collection_id: int, change: CollectionChange) -> None:
        """Apply a change. The caller has looked that a new name is free."""
        ...

    def mark_deleted(self, tx: Transaction, collection_id: int, *, at: float) -> None:
        """Leave a tombstone and free the name."""
        ...
