"""What the SDK asks of the other side, by noun. The local transport answers in process, HTTP by a server.

Every write may be sent again with the same effect. Methods raise WeighbridgeError only; a `retryable` one
means the same call may succeed later. Implementations are safe to call from several threads.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.domain.artifact import CollectionRecord, VersionRecord
from weighbridge.domain.lineage import LineageGraph
from weighbridge.domain.registry import ProjectRecord
from weighbridge.domain.run import RunRecord, RunRef, RunState
from weighbridge.services.ports.blobs import BlobStore
from weighbridge.wire.artifacts import (
    AliasEvents,
    AliasHistory,
    CollectionPage,
    DeleteVersion,
    LinkVersion,
    ListCollections,
    ListVersions,
    LogArtifact,
    ProjectPage,
    ResolveVersion,
    UnlinkVersion,
    UpdateCollection,
    UpdateVersion,
    UseVersion,
    VersionPage,
)
from weighbridge.wire.evaluations import EvaluationRecord, ReadLineage, RecordEvaluation
from weighbridge.wire.history import (
    BucketSeries,
    MetricKey,
    ReadBuckets,
    ReadRows,
    ReadSeries,
    RowPage,
    SampleRows,
    Series,
)
from weighbridge.wire.runs import AppendBatch, Appended, ListRuns, RunPage, StartedRun, StartRun, UpdateRun


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the caller is on the other side, and what short paths default to."""

    user: str
    entity: str
    organization: str
    location: str
    """Where the data lives: the home folder, or the server's URL."""


class ProjectsTransport(Protocol):
    """Projects and registries."""

    def list_projects(
        self, entity: str | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ProjectPage: ...
    def get(self, entity: str, name: str) -> ProjectRecord: ...
    def create(self, entity: str, name: str, *, description: str = "") -> ProjectRecord: ...


class RunsTransport(Protocol):
    """Runs: starting, feeding, ending, reading."""

    def start(self, request: StartRun) -> StartedRun: ...
    def append(self, batch: AppendBatch) -> Appended: ...
    def heartbeat(self, run: RunRef, spool_id: str) -> None: ...
    def close(self, run: RunRef, spool_id: str, state: RunState) -> None:
        """End a run whose process is gone, unless it ended or another spool of it is alive."""
        ...

    def get(self, run: RunRef) -> RunRecord: ...
    def list_runs(self, request: ListRuns) -> RunPage: ...
    def count(self, entity: str, project: str, filters: dict[str, object]) -> int: ...
    def update(self, request: UpdateRun) -> RunRecord: ...
    def delete(self, run: RunRef) -> None:
        """Delete the run's data; a tombstone keeps lineage whole. Deleting again is a no-op."""
        ...


class HistoryTransport(Protocol):
    """Reading history."""

    def keys(self, run: RunRef) -> tuple[MetricKey, ...]: ...
    def series(self, request: ReadSeries) -> tuple[Series, ...]: ...
    def buckets(self, request: ReadBuckets) -> BucketSeries: ...
    def rows(self, request: ReadRows) -> RowPage: ...
    def sample(self, request: SampleRows) -> RowPage: ...


class ArtifactsTransport(Protocol):
    """Versions and their collections, registries included."""

    def log(self, request: LogArtifact) -> VersionRecord: ...
    def resolve(self, request: ResolveVersion) -> VersionRecord: ...
    def get(self, version_id: int) -> VersionRecord: ...
    def manifest(self, version_id: int) -> bytes: ...
    def use(self, request: UseVersion) -> None: ...
    def link(self, request: LinkVersion) -> VersionRecord: ...
    def unlink(self, request: UnlinkVersion) -> None: ...
    def update(self, request: UpdateVersion) -> VersionRecord: ...
    def delete(self, request: DeleteVersion) -> None: ...
    def list_versions(self, request: ListVersions) -> VersionPage: ...
    def list_collections(self, request: ListCollections) -> CollectionPage: ...
    def get_collection(self, entity: str, project: str, name: str) -> CollectionRecord: ...
    def update_collection(self, request: UpdateCollection) -> CollectionRecord: ...
    def delete_collection(self, entity: str, project: str, name: str) -> None: ...
    def alias_history(self, request: AliasHistory) -> AliasEvents: ...


class LineageTransport(Protocol):
    """Who made what from what."""

    def graph(self, request: ReadLineage) -> LineageGraph: ...
    def producer(self, version_id: int) -> RunRecord:
        """The run that logged the version; a deleted one comes back as a tombstone with `is_deleted`.

        Raises ProducerNotFound where no run made it.
        """
        ...

    def consumers(self, version_id: int) -> tuple[RunRecord, ...]: ...
    def inputs(self, run: RunRef) -> tuple[VersionRecord, ...]: ...
    def outputs(self, run: RunRef) -> tuple[VersionRecord, ...]: ...


class EvaluationsTransport(Protocol):
    """Judged passes over versions."""

    def record(self, request: RecordEvaluation) -> EvaluationRecord: ...
    def list_for_version(self, version_id: int) -> tuple[EvaluationRecord, ...]:
        """Newest first, at most 1,000."""
        ...

    def list_for_run(self, run: RunRef) -> tuple[EvaluationRecord, ...]: ...


class Transport(Protocol):
    """The other side. Close it when done; closing twice is a no-op."""

    @property
    def identity(self) -> Identity: ...
    @property
    def projects(self) -> ProjectsTransport: ...
    @property
    def runs(self) -> RunsTransport: ...
    @property
    def history(self) -> HistoryTransport: ...
    @property
    def artifacts(self) -> ArtifactsTransport: ...
    @property
    def lineage(self) -> LineageTransport: ...
    @property
    def evaluations(self) -> EvaluationsTransport: ...
    @property
    def blobs(self) -> BlobStore: ...
    def close(self) -> None: ...


__all__ = [
    "ArtifactsTransport",
    "EvaluationsTransport",
    "HistoryTransport",
    "Identity",
    "LineageTransport",
    "ProjectsTransport",
    "RunsTransport",
    "Transport",
]
