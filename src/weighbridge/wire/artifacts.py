"""Requests and answers about artifacts, collections, registries and aliases."""

from __future__ import annotations

from typing import Any

import msgspec

from weighbridge.domain.artifact import AliasEvent, CollectionKind, CollectionRecord, VersionRecord
from weighbridge.domain.registry import ProjectRecord
from weighbridge.domain.run import RunRef


class LogArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """Make a version in the sequence `entity/project/name`. Repeating a `client_id` gives the same version.

    The blobs must be in the store already. Content equal to a version of the sequence gives that version
    (and moves the aliases to it). `latest` is always moved. `manifest` is domain.manifest's encoding.
    """

    entity: str
    project: str
    name: str
    type: str
    client_id: str
    manifest: bytes
    digest: str
    run: RunRef | None = None
    description: str = ""
    metadata: dict[str, Any] = {}
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    history_step: int | None = None
    logged_at: float = 0.0
    used_by_run: bool = False
    """Record it as an input of `run` instead of an output (an artifact used before it was ever logged)."""


class ResolveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Find a version by a full address; `version` is an alias, `vN` or a digest; `type` must match."""

    entity: str
    project: str
    collection: str
    version: str
    type: str | None = None


class UseVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Record that `run` consumed a version, and through which collection. Repeatable."""

    run: RunRef
    version_id: int
    entity: str
    project: str
    collection: str
    used_as: str = ""


class LinkVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Place a version in a registry collection (made if missing). Linking again adds the aliases."""

    version_id: int
    entity: str
    project: str
    collection: str
    aliases: tuple[str, ...] = ()
    run: RunRef | None = None
    reason: str = ""


class UnlinkVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Take a version out of a collection it was linked into."""

    version_id: int
    entity: str
    project: str
    collection: str


class UpdateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Change what may change of a version; None leaves as is. Aliases belong to the named collection.

    `expected` guards a move: alias -> the `vN` it must point to now (None: must not exist); else AliasMoved.
    """

    version_id: int
    entity: str
    project: str
    collection: str
    description: str | None = None
    metadata: dict[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    aliases_added: tuple[str, ...] = ()
    aliases_removed: tuple[str, ...] = ()
    expected: dict[str, str | None] = {}
    reason: str = ""
    run: RunRef | None = None


class DeleteVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Delete a version, but for a tombstone; refused while other aliases than `latest` point to it."""

    version_id: int
    delete_aliases: bool = False


class ListCollections(msgspec.Struct, frozen=True, kw_only=True):
    """A project's collections by name. `type` None is all; `query` matches a part of name or description."""

    entity: str
    project: str
    type: str | None = None
    kind: CollectionKind | None = None
    query: str = ""
    cursor: str | None = None
    limit: int = 100


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Collections in order, and the cursor of the next page or None."""

    collections: tuple[CollectionRecord, ...]
    next_cursor: str | None


class ListVersions(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of one collection, newest first."""

    entity: str
    project: str
    collection: str
    cursor: str | None = None
    limit: int = 100


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions in order, and the cursor of the next page or None."""

    versions: tuple[VersionRecord, ...]
    next_cursor: str | None


class UpdateCollection(msgspec.Struct, frozen=True, kw_only=True):
    """Change a collection; None leaves as is."""

    entity: str
    project: str
    collection: str
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None


class AliasHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The moves of one alias (None: of all) in a collection, oldest first; `until` is inclusive."""

    entity: str
    project: str
    collection: str
    alias: str | None = None
    until: float | None = None
    limit: int = 1_000


class AliasEvents(msgspec.Struct, frozen=True, kw_only=True):
    """The moves, oldest first."""

    events: tuple[AliasEvent, ...]


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Projects by name, and the cursor of the next page or None."""

    projects: tuple[ProjectRecord, ...]
    next_cursor: str | None
