"""Projects and registries, as `Api` gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from weighbridge.domain.names import LEGACY_REGISTRY, REGISTRY_PREFIX
from weighbridge.domain.registry import Place, ProjectKind
from weighbridge.sdk.public.collections import (
    ArtifactCollection,
    ArtifactType,
    get_collection,
    iter_types,
    list_collections,
)
from weighbridge.sdk.public.matching import matcher
from weighbridge.sdk.public.paging import Page, Paged
from weighbridge.sdk.times import iso
from weighbridge.wire.runs import ListRuns

if TYPE_CHECKING:
    from weighbridge.domain.registry import ProjectRecord
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.public.reader import Reader
    from weighbridge.sdk.public.run import Run


class Project:
    """A project: its runs and artifacts."""

    def __init__(self, reader: Reader, record: ProjectRecord) -> None:
        self._reader = reader
        self.record = record

    @property
    def entity(self) -> str:
        """Owner of the project."""
        return self.record.entity

    @property
    def name(self) -> str:
        """The project's full name."""
        return self.record.name

    @property
    def path(self) -> list[str]:
        """`[entity, name]`, as in W&B."""
        return [self.entity, self.record.name]

    @property
    def url(self) -> str:
        """The page's address without a host."""
        return f"/{self.entity}/{self.record.name}"

    @property
    def description(self) -> str:
        """What it is for."""
        return self.record.description

    @property
    def created_at(self) -> str | None:
        """ISO 8601, UTC."""
        return iso(self.record.created_at)

    def runs(
        self, filters: Mapping[str, Any] | None = None, order: str = "+created_at", per_page: int = 50
    ) -> Paged[Run]:
        """The project's runs; see `Api.runs`."""
        return list_runs(
            self._reader, (self.entity, self.record.name), filters=filters, order=order, per_page=per_page
        )

    def artifacts_types(self) -> list[ArtifactType]:
        """The artifact types in use (W&B spells it so)."""
        return [
            ArtifactType(self._reader, entity=self.entity, project=self.record.name, name=name)
            for name in iter_types(self._reader, self.entity, self.record.name)
        ]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.entity}/{self.record.name}>"


class Registry(Project):
    """A registry: `model-registry` of an entity, or `wandb-registry-<name>` of the organisation."""

    @property
    def name(self) -> str:
        """The short name: `model` for `wandb-registry-model`."""
        return self.record.name.removeprefix(REGISTRY_PREFIX)

    @property
    def full_name(self) -> str:
        """The name as a project."""
        return self.record.name

    @property
    def organization(self) -> str:
        """The entity that owns it."""
        return self.entity

    def collections(
        self, filter: Mapping[str, Any] | None = None, per_page: int = 100
    ) -> Iterator[ArtifactCollection]:
        """The collections by name; `filter` over name, description, tag, type, as in `Api.runs`."""
        matches = matcher(filter or {}, _collection_values)
        for collection in list_collections(self._reader, self.entity, self.record.name, per_page=per_page):
            if matches(collection):
                yield collection

    def collection(self, name: str) -> ArtifactCollection:
        """One collection. Raises CollectionNotFound with the nearest names."""
        return get_collection(self._reader, Place(self.entity, self.record.name, name, ""))

    def versions(self, filter: Mapping[str, Any] | None = None, per_page: int = 100) -> Iterator[Artifact]:
        """Every linked version, collection by collection, newest first.

        `filter` may name alias, tag, version, type, collection and metadata.<key>.
        """
        matches = matcher(filter or {}, _version_values)
        for collection in self.collections(per_page=per_page):
            for artifact in collection.versions(per_page):
                if matches(artifact):
                    yield artifact


def _collection_values(collection: ArtifactCollection, field: str) -> object:
    names: dict[str, Callable[[], object]] = {
        "name": lambda: collection.name,
        "description": lambda: collection.description,
        "tag": lambda: tuple(collection.tags),
        "type": lambda: collection.type,
    }
    return names[field]() if field in names else None


def _version_values(artifact: Artifact, field: str) -> object:
    if field.startswith("metadata."):
        found: Any = artifact.metadata
        for part in field.split(".")[1:]:
            found = found.get(part) if isinstance(found, dict) else None
        return found
    names: dict[str, Callable[[], object]] = {
        "alias": lambda: tuple(artifact.aliases),
        "tag": lambda: tuple(artifact.tags),
        "version": lambda: artifact.version,
        "type": lambda: artifact.type,
        "collection": lambda: artifact.collection_name,
        "name": lambda: artifact.collection_name,
    }
    return names[field]() if field in names else None


def project_of(reader: Reader, record: ProjectRecord) -> Project:
    """A Registry or a Project, by the record's kind."""
    return (Registry if record.kind is ProjectKind.REGISTRY else Project)(reader, record)


def list_projects(reader: Reader, entity: str, per_page: int = 100) -> Paged[Project]:
    """Projects and registries of an entity, by name."""

    def fetch(cursor: str | None, limit: int) -> Page[Project]:
        page = reader.transport.projects.list_projects(entity, cursor=cursor, limit=limit)
        return Page([project_of(reader, record) for record in page.projects], page.next_cursor)

    return Paged(fetch, per_page=per_page)


def registry_place(name: str, *, entity: str, organization: str) -> tuple[str, str]:
    """Owner and full name of a registry: `model`, `wandb-registry-model`, `model-registry`, `owner/...`."""
    owner, _, last = name.rpartition("/")
    if last == LEGACY_REGISTRY:
        return owner or entity, last
    full = last if last.startswith(REGISTRY_PREFIX) else REGISTRY_PREFIX + last
    return owner or organization, full


def list_runs(
    reader: Reader,
    place: tuple[str, str],
    *,
    filters: Mapping[str, Any] | None = None,
    order: str = "+created_at",
    per_page: int = 50,
    is_full: bool = False,
) -> Paged[Run]:
    """Runs of a project (entity, name). is_full: with the captured environment at once."""
    entity, project = place
    wanted = dict(filters or {})
    include = ("config", "summary", "environment", "metrics") if is_full else ("config", "summary", "metrics")

    def fetch(cursor: str | None, limit: int) -> Page[Run]:
        page = reader.transport.runs.list_runs(
            ListRuns(
                entity=entity,
                project=project,
                filters=wanted,
                order=order,
                cursor=cursor,
                limit=limit,
                include=include,
            )
        )
        return Page([reader.run(record, is_full=is_full) for record in page.runs], page.next_cursor)

    return Paged(fetch, per_page=per_page, count=lambda: reader.transport.runs.count(entity, project, wanted))
