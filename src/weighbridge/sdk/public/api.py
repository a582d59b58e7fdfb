"""`Api`: read and edit what is stored, outside of a run. W&B's names; every call asks the store anew."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.lineage import Direction
from weighbridge.domain.names import check_entity, check_project, check_run_id
from weighbridge.domain.registry import Place
from weighbridge.domain.run import RunRef
from weighbridge.errors import InvalidReference, InvalidSetting, NotFound, UsageError
from weighbridge.sdk.client import client_for
from weighbridge.sdk.public.collections import (
    ArtifactCollection,
    ArtifactType,
    get_collection,
    iter_types,
    list_collections,
    list_versions,
)
from weighbridge.sdk.public.lineage import Lineage, parse_direction
from weighbridge.sdk.public.matching import matcher
from weighbridge.sdk.public.projects import (
    Project,
    Registry,
    list_projects,
    list_runs,
    project_of,
    registry_place,
)
from weighbridge.sdk.public.reader import Reader
from weighbridge.sdk.public.run import Run
from weighbridge.settings import resolve

if TYPE_CHECKING:
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.public.paging import Paged

_OVERRIDES = ("entity", "project", "organization", "home")


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads, in W&B's words."""

    username: str
    entity: str
    organization: str
    teams: tuple[str, ...] = ()


class Api:
    """The stored runs, artifacts and registries of one home.

    Opening it ships what killed processes of this home left behind, so that their last rows are seen.
    """

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        home: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Open the home.

        Args:
            overrides: entity, project, organization to use where a path leaves them out.
            home: The home folder; the one of the settings by default.
            timeout: Accepted for W&B's scripts; nothing here waits for a network.

        Raises InvalidSetting, StorageError, SchemaTooNew.
        """
        chosen: dict[str, Any] = {
            name: value for name, value in (overrides or {}).items() if name != "base_url"
        }
        unknown = [name for name in chosen if name not in _OVERRIDES]
        if unknown:
            raise InvalidSetting(
                f"Api has no override {unknown[0]!r}.", hint=f"Known: {', '.join(_OVERRIDES)}."
            )
        if timeout is not None and not timeout > 0:
            raise InvalidSetting(
                f"timeout={timeout!r} is not above 0.", hint="Give seconds, or leave it out."
            )
        if home is not None:
            chosen["home"] = os.fspath(home)
        self.settings = resolve(**chosen)
        self.client = client_for(self.settings)
        self._entity = chosen.get("entity")
        self._reader = Reader(self.client)
        self._adopt()

    @property
    def default_entity(self) -> str:
        """The owner that paths without one mean."""
        return self._entity or self.client.identity.entity

    @property
    def default_project(self) -> str:
        """The project that paths without one mean."""
        return self.settings.project

    @property
    def viewer(self) -> Viewer:
        """Who reads."""
        identity = self.client.identity
        return Viewer(username=identity.user, entity=self.default_entity, organization=identity.organization)

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        lazy: bool = True,
    ) -> Paged[Run]:
        """The runs of a project (`entity/project` or `project`), loaded a page at a time.

        Args:
            path: The settings' project by default.
            filters: The Mongo-like language of docs/reference/filters.md, such as
                `{"config.lr": {"$lt": 0.1}, "state": "finished"}`.
            order: `+field` or `-field`, such as created_at, config.<key> or summary_metrics.<key>; runs
                without the value come last.
            per_page: 1 to 1,000.
            lazy: Leave the captured environment out until it is asked for.

        Raises ProjectNotFound, InvalidFilter, when first read.
        """
        place = self._project_place(path)
        return list_runs(
            self._reader, place, filters=filters, order=order, per_page=per_page, is_full=not lazy
        )

    def run(self, path: str) -> Run:
        """One run: `entity/project/run_id`, `project/run_id` or `run_id`. RunNotFound names the nearest ids."""
        return self._reader.run(self._reader.transport.runs.get(self._run_ref(path)))

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """One version: `entity/project/name:alias`; entity, project and alias (`latest`) may be left out.

        Raises ProjectNotFound, CollectionNotFound, AliasNotFound (with the nearest names), TypeMismatch.
        """
        return self._reader.resolve(self._place(name), type)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Whether `artifact(name, type)` would find one."""
        try:
            self.artifact(name, type)
        except NotFound:
            return False
        return True

    def artifact_types(self, project: str | None = None) -> list[ArtifactType]:
        """The artifact types of a project."""
        entity, name = self._project_place(project)
        return [
            ArtifactType(self._reader, entity=entity, project=name, name=type_name)
            for type_name in iter_types(self._reader, entity, name)
        ]

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """One artifact type of a project. Raises NotFound with the types there are."""
        types = {found.name: found for found in self.artifact_types(project)}
        if type_name not in types:
            raise NotFound(
                f"No artifact of type {type_name[:80]!r} is in {'/'.join(self._project_place(project))}.",
                hint=f"Types there: {', '.join(sorted(types)) or 'none'}.",
                details={"nearest": sorted(types)},
            )
        return types[type_name]

    def artifact_collections(
        self, project_name: str, type_name: str | None = None, per_page: int = 50
    ) -> Paged[ArtifactCollection]:
        """Collections of a project or registry, by name; of one type, or of all."""
        entity, project = self._project_place(project_name)
        return list_collections(self._reader, entity, project, type_name=type_name, per_page=per_page)

    def artifact_collection(self, type_name: str | None, name: str) -> ArtifactCollection:
        """One collection by its path. Raises CollectionNotFound with the nearest names, TypeMismatch."""
        return get_collection(self._reader, self._place(name), type_name=type_name)

    def artifacts(self, type_name: str | None, name: str, per_page: int = 50) -> Paged[Artifact]:
        """The versions of a collection, newest first. Raises CollectionNotFound, TypeMismatch."""
        place = self._place(name)
        get_collection(self._reader, place, type_name=type_name)
        return list_versions(self._reader, place, per_page=per_page)

    def projects(self, entity: str | None = None, per_page: int = 200) -> list[Project]:
        """The projects of an entity by name, without its registries."""
        owner = check_entity(entity or self.default_entity)
        found = list_projects(self._reader, owner, per_page=per_page)
        return [project for project in found if not isinstance(project, Registry)]

    def project(self, name: str, entity: str | None = None) -> Project:
        """One project. Raises ProjectNotFound with the nearest names."""
        owner, project = self._project_place(f"{entity}/{name}" if entity else name)
        return project_of(self._reader, self._reader.transport.projects.get(owner, project))

    def create_project(self, name: str, entity: str | None = None, *, description: str = "") -> Project:
        """Make a project, or return the one there is."""
        owner = check_entity(entity or self.default_entity)
        record = self._reader.transport.projects.create(owner, check_project(name), description=description)
        return project_of(self._reader, record)

    def registries(
        self, organization: str | None = None, filter: Mapping[str, Any] | None = None
    ) -> Iterator[Registry]:
        """The registries of an organisation; without one, ours and the caller's own `model-registry`.

        filter: over name (short), full_name, description and entity, in the language of `runs`.
        """
        matches = matcher(filter or {}, _registry_value)
        owners = [organization] if organization else [self.client.identity.organization, self.default_entity]
        for owner in dict.fromkeys(owners):
            for project in list_projects(self._reader, check_entity(owner)):
                if isinstance(project, Registry) and matches(project):
                    yield project

    def registry(self, name: str, organization: str | None = None) -> Registry:
        """One registry: `model`, `wandb-registry-model` or `model-registry`. Raises ProjectNotFound."""
        entity, full = registry_place(
            name,
            entity=self.default_entity,
            organization=organization or self.client.identity.organization,
        )
        return Registry(self._reader, self._reader.transport.projects.get(entity, check_project(full)))

    def lineage(
        self,
        obj_or_path: Artifact | Run | str,
        depth: int = 10,
        direction: Direction | str = Direction.BOTH,
    ) -> Lineage:
        """The graph around a version or a run, `depth` (1 to 50) edges far.

        A path with `:` is an artifact's, one with three parts and none is a run's. Raises NotFound.
        """
        way = parse_direction(direction)
        if isinstance(obj_or_path, str):
            path = obj_or_path.strip("/")
            is_run = ":" not in path and (path.count("/") == 2 or "/runs/" in path)
            obj_or_path = self.run(path) if is_run else self.artifact(path)
        return obj_or_path.lineage(depth, way)

    def from_path(self, path: str) -> Project | Run | Artifact | ArtifactCollection:
        """What a path or a page's address names.

        `project`, `entity/project`, `entity/project/run_id`, `entity/project/runs/run_id`,
        `entity/project/name:v0`,
        `entity/project/artifacts/type/name[/v0]`.
        """
        parts = path.strip("/").split("/")
        if len(parts) in (5, 6) and parts[2] == "artifacts":
            entity, project, _, type_name, name, *version = parts
            if version:
                return self.artifact(f"{entity}/{project}/{name}:{version[0]}", type_name)
            return self.artifact_collection(type_name, f"{entity}/{project}/{name}")
        if ":" in path:
            return self.artifact(path)
        if len(parts) <= 2:
            return self.project(parts[-1], parts[0] if len(parts) == 2 else None)
        return self.run(path)

    def flush(self) -> None:
        """Nothing is cached between calls; W&B's scripts call it."""

    def __repr__(self) -> str:
        return f"<Api of {self.settings.home}, {self.default_entity}/{self.default_project}>"

    def _adopt(self) -> None:
        """Ship spools whose process is gone. What can't be shipped stays, and is said by whoever ships."""
        from weighbridge.sdk.adopt import adopt_orphans

        adopt_orphans(self.client)

    def _place(self, path: str) -> Place:
        return self._reader.place(path, entity=self.default_entity, project=self.default_project)

    def _project_place(self, path: str | None) -> tuple[str, str]:
        parts = path.strip("/").split("/") if path else [self.default_project]
        if len(parts) > 2:
            raise InvalidReference(
                f"Project path {path!r} has {len(parts)} parts.", hint="Write entity/project."
            )
        project = check_project(parts[-1])
        if len(parts) == 2:
            return check_entity(parts[0]), project
        place = self._reader.place(f"{project}/_", entity=self.default_entity, project=project)
        return place.entity, project

    def _run_ref(self, path: str) -> RunRef:
        if not path.strip("/"):
            raise UsageError("A run path is empty.", hint="Write entity/project/run_id.")
        parts = path.strip("/").split("/")
        if len(parts) == 4 and parts[2] == "runs":
            del parts[2]
        if len(parts) > 3:
            raise InvalidReference(
                f"Run path {path[:200]!r} has {len(parts)} parts.", hint="Write entity/project/run_id."
            )
        entity, project = self._project_place("/".join(parts[:-1]) or None)
        return RunRef(entity, project, check_run_id(parts[-1]))


def _registry_value(registry: Registry, field: str) -> object:
    known = ("name", "full_name", "description", "entity", "organization")
    return getattr(registry, field) if field in known else None
