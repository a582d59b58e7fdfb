"""Records of projects and registries, and the defaults that fill in short artifact paths."""

from __future__ import annotations

import enum

import msgspec

from weighbridge.domain.names import LEGACY_REGISTRY, REGISTRY_PREFIX, ArtifactPath, is_registry


class ProjectKind(enum.StrEnum):
    """What a project holds."""

    PROJECT = "project"
    REGISTRY = "registry"


class ProjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A project or a registry with its counts."""

    entity: str
    name: str
    kind: ProjectKind
    description: str = ""
    created_at: float = 0.0
    run_count: int = 0
    collection_count: int = 0

    @property
    def path(self) -> str:
        """`entity/name`."""
        return f"{self.entity}/{self.name}"


class Place(msgspec.Struct, frozen=True):
    """A collection's address with nothing left out."""

    entity: str
    project: str
    collection: str
    version: str


def complete(path: ArtifactPath, *, entity: str, project: str, organization: str) -> Place:
    """Fill in what a short path leaves out.

    No project: the caller's. No entity: the organisation's for `wandb-registry-*`, else the caller's.
    `registry/Name` and `model-registry/Name` are therefore enough inside one entity.
    """
    chosen = path.project or project
    owner = path.entity
    if owner is None:
        owner = organization if chosen.startswith(REGISTRY_PREFIX) else entity
    return Place(owner, chosen, path.collection, path.version)


__all__ = [
    "LEGACY_REGISTRY",
    "REGISTRY_PREFIX",
    "Place",
    "ProjectKind",
    "ProjectRecord",
    "complete",
    "is_registry",
]
