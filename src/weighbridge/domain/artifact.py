"""Records of artifact collections, versions and the links that place a version in a collection. Pure data."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from weighbridge.domain.run import RunRef


class CollectionKind(enum.StrEnum):
    """How a collection is filled: a sequence by runs, a portfolio by links."""

    SEQUENCE = "sequence"
    PORTFOLIO = "portfolio"


class CollectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A named series of versions of one artifact type."""

    collection_id: int
    entity: str
    project: str
    name: str
    kind: CollectionKind
    type: str
    description: str = ""
    tags: tuple[str, ...] = ()
    created_at: float = 0.0
    updated_at: float = 0.0
    version_count: int = 0
    aliases: dict[str, str] = {}
    """alias -> `vN` in this collection."""


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version, as seen through one collection (its own sequence, or a registry that links it).

    `collection`, `version` and `aliases` belong to the collection it was asked for through; `source_*` name
    the sequence it was logged into and never change. `version_id` is the same through every link.
    """

    version_id: int
    digest: str
    """Digest of the manifest: the identity of the content."""
    type: str
    entity: str
    project: str
    collection: str
    version: str
    aliases: tuple[str, ...] = ()
    source_entity: str
    source_project: str
    source_collection: str
    source_version: str
    description: str = ""
    metadata: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    size_bytes: int = 0
    file_count: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
    linked_at: float | None = None
    history_step: int | None = None
    """The producer's step at the moment the version was logged."""
    producer: RunRef | None = None
    producer_deleted: bool = False
    is_deleted: bool = False
    verdict: str | None = None
    """Verdict of the newest evaluation of this version: passed, failed, inconclusive, or None."""

    @property
    def is_link(self) -> bool:
        """Whether this is a version seen through a link."""
        return (self.entity, self.project, self.collection) != (
            self.source_entity,
            self.source_project,
            self.source_collection,
        )

    @property
    def name(self) -> str:
        """`collection:vN`."""
        return f"{self.collection}:{self.version}"

    @property
    def path(self) -> str:
        """`entity/project/collection:vN`."""
        return f"{self.entity}/{self.project}/{self.collection}:{self.version}"

    @property
    def source_path(self) -> str:
        """`entity/project/collection:vN` of the sequence it was logged into."""
        return f"{self.source_entity}/{self.source_project}/{self.source_collection}:{self.source_version}"


class AliasEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One move of an alias in one collection: who, when, from which version, to which, why."""

    alias: str
    at: float
    actor: str
    from_version: str | None
    to_version: str | None
    """None where the alias was removed."""
    reason: str = ""
    run: RunRef | None = None
