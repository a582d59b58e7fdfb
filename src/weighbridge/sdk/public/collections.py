"""Artifact collections and types, as `Api` gives them: versions, edits, an alias's past. It has no rules."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from weighbridge.domain.artifact import AliasEvent, CollectionKind
from weighbridge.domain.names import check_tag
from weighbridge.domain.registry import Place
from weighbridge.errors import AliasNotFound, TypeMismatch
from weighbridge.sdk.public.paging import Page, Paged
from weighbridge.sdk.times import iso, seconds
from weighbridge.wire.artifacts import AliasHistory, ListCollections, ListVersions, UpdateCollection

if TYPE_CHECKING:
    from weighbridge.domain.artifact import CollectionRecord
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.public.reader import Reader

Moment = float | str | datetime.datetime | datetime.date


class ArtifactCollection:
    """A named series of versions of one type: a sequence filled by runs, or a portfolio filled by links."""

    def __init__(self, reader: Reader, record: CollectionRecord) -> None:
        self._reader = reader
        self._take(record)

    def _take(self, record: CollectionRecord) -> None:
        self._record = record
        self.name = record.name
        self.description = record.description
        self.tags: list[str] = list(record.tags)

    @property
    def id(self) -> int:
        """The collection's number."""
        return self._record.collection_id

    @property
    def entity(self) -> str:
        """Owner of the project or registry."""
        return self._record.entity

    @property
    def project(self) -> str:
        """The project or registry."""
        return self._record.project

    @property
    def path(self) -> str:
        """`entity/project/name`."""
        return f"{self.entity}/{self.project}/{self._record.name}"

    @property
    def type(self) -> str:
        """The artifact type of every version."""
        return self._record.type

    @property
    def record(self) -> CollectionRecord:
        """Everything stored, as last read."""
        return self._record

    @property
    def aliases(self) -> dict[str, str]:
        """alias -> `vN`; iterating gives the aliases, as W&B's list does."""
        return dict(self._record.aliases)

    @property
    def version_count(self) -> int:
        """How many versions it holds."""
        return self._record.version_count

    @property
    def created_at(self) -> str | None:
        """ISO 8601, UTC."""
        return iso(self._record.created_at)

    @property
    def updated_at(self) -> str | None:
        """ISO 8601, UTC."""
        return iso(self._record.updated_at)

    def is_sequence(self) -> bool:
        """Whether runs fill it (True) or links do (False)."""
        return self._record.kind is CollectionKind.SEQUENCE

    def versions(self, per_page: int = 50) -> Paged[Artifact]:
        """The versions, newest first."""
        return list_versions(
            self._reader, Place(self.entity, self.project, self._record.name, ""), per_page=per_page
        )

    def artifacts(self, per_page: int = 50) -> Paged[Artifact]:
        """W&B's name of `versions()`."""
        return self.versions(per_page)

    def save(self) -> None:
        """Write an edited name, description or list of tags. Raises AlreadyExists, InvalidName."""
        old = self._record
        tags = tuple(dict.fromkeys(check_tag(tag) for tag in self.tags))
        request = UpdateCollection(
            entity=old.entity,
            project=old.project,
            collection=old.name,
            name=self.name if self.name != old.name else None,
            description=self.description if self.description != old.description else None,
            tags=tags if tags != old.tags else None,
        )
        self._take(self._reader.transport.artifacts.update_collection(request))

    def delete(self) -> None:
        """Delete the collection: a sequence with its versions, a portfolio with its links only.

        Raises Conflict while aliases other than `latest` point into it.
        """
        self._reader.transport.artifacts.delete_collection(self.entity, self.project, self._record.name)

    def alias_history(self, alias: str | None = None, until: Moment | None = None) -> tuple[AliasEvent, ...]:
        """The moves of one alias (None: of all), oldest first, at most 1,000; `until` a moment or a day."""
        request = AliasHistory(
            entity=self.entity,
            project=self.project,
            collection=self._record.name,
            alias=alias,
            until=None if until is None else seconds(until),
        )
        return self._reader.transport.artifacts.alias_history(request).events

    def alias_at(self, alias: str, moment: Moment) -> Artifact:
        """The version that an alias pointed to at a moment, or at the end of a day. Raises AliasNotFound."""
        moves = self.alias_history(alias, until=moment)
        version = moves[-1].to_version if moves else None
        if version is None:
            when = iso(seconds(moment))
            raise AliasNotFound(
                f"Alias {alias[:80]!r} of {self.path} pointed nowhere at {when}.",
                hint="See alias_history() for its moves.",
            )
        return self._reader.resolve(Place(self.entity, self.project, self._record.name, version))

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self.path} ({self.type})>"


class ArtifactType:
    """One artifact type of a project, with the collections that hold it."""

    def __init__(self, reader: Reader, *, entity: str, project: str, name: str) -> None:
        self._reader = reader
        self.entity = entity
        self.project = project
        self.name = name

    def collections(self, per_page: int = 50) -> Paged[ArtifactCollection]:
        """The collections of this type, by name."""
        return list_collections(
            self._reader, self.entity, self.project, type_name=self.name, per_page=per_page
        )

    def collection(self, name: str) -> ArtifactCollection:
        """One collection of this type. Raises CollectionNotFound, TypeMismatch."""
        return get_collection(self._reader, Place(self.entity, self.project, name, ""), type_name=self.name)

    def __repr__(self) -> str:
        return f"<ArtifactType {self.entity}/{self.project}: {self.name}>"


def list_versions(reader: Reader, place: Place, *, per_page: int = 50) -> Paged[Artifact]:
    """The versions of a collection, newest first."""

    def fetch(cursor: str | None, limit: int) -> Page[Artifact]:
        page = reader.transport.artifacts.list_versions(
            ListVersions(
                entity=place.entity,
                project=place.project,
                collection=place.collection,
                cursor=cursor,
                limit=limit,
            )
        )
        return Page([reader.artifact(record) for record in page.versions], page.next_cursor)

    return Paged(fetch, per_page=per_page)


def list_collections(
    reader: Reader,
    entity: str,
    project: str,
    *,
    type_name: str | None = None,
    query: str = "",
    per_page: int = 50,
) -> Paged[ArtifactCollection]:
    """Collections of a project or registry, by name. `query` matches part of the name or description."""

    def fetch(cursor: str | None, limit: int) -> Page[ArtifactCollection]:
        page = reader.transport.artifacts.list_collections(
            ListCollections(
                entity=entity, project=project, type=type_name, query=query, cursor=cursor, limit=limit
            )
        )
        return Page([reader.collection(record) for record in page.collections], page.next_cursor)

    return Paged(fetch, per_page=per_page)


def get_collection(reader: Reader, place: Place, *, type_name: str | None = None) -> ArtifactCollection:
    """One collection. Raises CollectionNotFound, TypeMismatch."""
    record = reader.transport.artifacts.get_collection(place.entity, place.project, place.collection)
    collection = reader.collection(record)
    if type_name is not None and record.type != type_name:
        raise TypeMismatch(
            f"{collection.path} holds {record.type!r}, not {type_name[:80]!r}.",
            hint=f"Ask for type {record.type!r}.",
            details={"type": record.type, "asked": type_name},
        )
    return collection


def iter_types(reader: Reader, entity: str, project: str) -> Iterator[str]:
    """The artifact types of a project, each once, in the order of its collections."""
    seen: set[str] = set()
    for collection in list_collections(reader, entity, project, per_page=1_000):
        if collection.type not in seen:
            seen.add(collection.type)
            yield collection.type
