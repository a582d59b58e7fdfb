"""Makes the objects people read out of the records a transport answers with. It must hold no cache.

Run, Artifact and the rest take a Reader and never import each other; this is the one module that knows
them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.names import parse_artifact_path
from weighbridge.domain.registry import Place, complete
from weighbridge.domain.run import RunRef
from weighbridge.sdk.artifact import Artifact
from weighbridge.sdk.public.collections import ArtifactCollection
from weighbridge.sdk.public.lineage import Lineage
from weighbridge.sdk.public.run import Run
from weighbridge.wire.artifacts import ResolveVersion
from weighbridge.wire.evaluations import ReadLineage

if TYPE_CHECKING:
    from weighbridge.domain.artifact import CollectionRecord, VersionRecord
    from weighbridge.domain.lineage import Direction
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.client import Client
    from weighbridge.sdk.transport.base import Transport


class Reader:
    """What readable objects share: the client, and how to make one another."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def transport(self) -> Transport:
        """The other side."""
        return self.client.transport

    def run(self, record: RunRecord, *, is_full: bool = True) -> Run:
        """A run. is_full: the record holds the heavy fields too."""
        return Run(self, record, is_full=is_full)

    def artifact(self, record: VersionRecord, *, asked_for: str | None = None) -> Artifact:
        """A logged version. asked_for: the alias or version it was addressed by."""
        return Artifact.of_record(record, host=self, asked_for=asked_for)

    def collection(self, record: CollectionRecord) -> ArtifactCollection:
        """A collection."""
        return ArtifactCollection(self, record)

    def place(self, path: str, *, entity: str | None, project: str) -> Place:
        """A written artifact path with nothing left out. `entity` None is the caller's own."""
        identity = self.client.identity
        return complete(
            parse_artifact_path(path),
            entity=entity or identity.entity,
            project=project,
            organization=identity.organization,
        )

    def resolve(self, place: Place, type_name: str | None = None) -> Artifact:
        """The version at a place. Raises ProjectNotFound, CollectionNotFound, AliasNotFound, TypeMismatch."""
        record = self.transport.artifacts.resolve(
            ResolveVersion(
                entity=place.entity,
                project=place.project,
                collection=place.collection,
                version=place.version,
                type=type_name,
            )
        )
        return self.artifact(record, asked_for=place.version)

    def lineage(
        self, *, run: RunRef | None = None, version_id: int | None = None, depth: int, direction: Direction
    ) -> Lineage:
        """The graph around a run or a version, exactly one of which is given."""
        graph = self.transport.lineage.graph(
            ReadLineage(run=run, version_id=version_id, depth=depth, direction=direction)
        )
        return Lineage(graph)
