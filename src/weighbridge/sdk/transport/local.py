"""The transport that answers in process: each call is one call of a service on the home. No rules here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.artifact import CollectionRecord, VersionRecord
from weighbridge.domain.lineage import LineageGraph
from weighbridge.domain.registry import ProjectRecord
from weighbridge.domain.run import RunRecord, RunRef, RunState
from weighbridge.sdk.transport.base import Identity
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

if TYPE_CHECKING:
    from weighbridge.bootstrap import Services
    from weighbridge.sdk.transport.base import Transport
    from weighbridge.services.access import Actor
    from weighbridge.settings import Settings


def open_local(settings: Settings) -> LocalTransport:
    """The transport on the home that settings name; the home is made if missing.

    Raises SchemaTooNew, StorageBusy, StorageFull, StorageError.
    """
    from weighbridge.bootstrap import open_settings
    from weighbridge.services.access import Actor

    services = open_settings(settings)
    return LocalTransport(services, Actor(services.identity.user))


class LocalTransport:
    """A Transport over the services of one home."""

    def __init__(self, services: Services, actor: Actor) -> None:
        self._services = services
        self._projects = _Projects(services, actor)
        self._runs = _Runs(services, actor)
        self._history = _History(services, actor)
        self._artifacts = _Artifacts(services, actor)
        self._lineage = _Lineage(services, actor)
        self._evaluations = _Evaluations(services, actor)

    @property
    def identity(self) -> Identity:
        """The home's owner, and what short paths default to."""
        found = self._services.identity
        return Identity(
            user=found.user, entity=found.entity, organization=found.organization, location=found.location
        )

    @property
    def projects(self) -> _Projects:
        """Projects and registries."""
        return self._projects

    @property
    def runs(self) -> _Runs:
        """Runs."""
        return self._runs

    @property
    def history(self) -> _History:
        """Reading history."""
        return self._history

    @property
    def artifacts(self) -> _Artifacts:
        """Versions and their collections."""
        return self._artifacts

    @property
    def lineage(self) -> _Lineage:
        """Who made what from what."""
        return self._lineage

    @property
    def evaluations(self) -> _Evaluations:
        """Judged passes over versions."""
        return self._evaluations

    @property
    def blobs(self) -> BlobStore:
        """The home's blobs."""
        return self._services.blobs

    def close(self) -> None:
        """Close what is open; closing twice is a no-op."""
        self._services.close()


class _Noun:
    def __init__(self, services: Services, actor: Actor) -> None:
        self._services = services
        self._actor = actor


class _Projects(_Noun):
    def list_projects(
        self, entity: str | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ProjectPage:
        return self._services.projects.list_projects(self._actor, entity, cursor=cursor, limit=limit)

    def get(self, entity: str, name: str) -> ProjectRecord:
        return self._services.projects.get(self._actor, entity, name)

    def create(self, entity: str, name: str, *, description: str = "") -> ProjectRecord:
        return self._services.projects.create(self._actor, entity, name, description=description)


class _Runs(_Noun):
    def start(self, request: StartRun) -> StartedRun:
        return self._services.runs.start(self._actor, request)

    def append(self, batch: AppendBatch) -> Appended:
        stored = self._services.runs.append(self._actor, batch)
        if stored.needs_folding:
            # Here and not in the service: a server folds between requests, a home has only its callers.
            self._services.history.fold(self._actor, batch.run)
        return Appended(stored.next_offset)

    def heartbeat(self, run: RunRef, spool_id: str) -> None:
        self._services.runs.heartbeat(self._actor, run, spool_id)

    def close(self, run: RunRef, spool_id: str, state: RunState) -> None:
        self._services.runs.close(self._actor, run, spool_id=spool_id, state=state)

    def get(self, run: RunRef) -> RunRecord:
        return self._services.runs.get(self._actor, run)

    def list_runs(self, request: ListRuns) -> RunPage:
        return self._services.runs.list_runs(self._actor, request)

    def count(self, entity: str, project: str, filters: dict[str, object]) -> int:
        return self._services.runs.count(self._actor, entity, project, filters=filters)

    def update(self, request: UpdateRun) -> RunRecord:
        return self._services.runs.update(self._actor, request)

    def delete(self, run: RunRef) -> None:
        self._services.runs.delete(self._actor, run)


class _History(_Noun):
    def keys(self, run: RunRef) -> tuple[MetricKey, ...]:
        return self._services.history.keys(self._actor, run)

    def series(self, request: ReadSeries) -> tuple[Series, ...]:
        return self._services.history.series(self._actor, request)

    def buckets(self, request: ReadBuckets) -> BucketSeries:
        return self._services.history.buckets(self._actor, request)

    def rows(self, request: ReadRows) -> RowPage:
        return self._services.history.rows(self._actor, request)

    def sample(self, request: SampleRows) -> RowPage:
        return self._services.history.sample(self._actor, request)


class _Artifacts(_Noun):
    def log(self, request: LogArtifact) -> VersionRecord:
        return self._services.artifacts.log(self._actor, request)

    def resolve(self, request: ResolveVersion) -> VersionRecord:
        return self._services.artifacts.resolve(self._actor, request)

    def get(self, version_id: int) -> VersionRecord:
        return self._services.artifacts.get(self._actor, version_id)

    def manifest(self, version_id: int) -> bytes:
        return self._services.artifacts.manifest(self._actor, version_id)

    def use(self, request: UseVersion) -> None:
        self._services.artifacts.use(self._actor, request)

    def link(self, request: LinkVersion) -> VersionRecord:
        return self._services.artifacts.link(self._actor, request)

    def unlink(self, request: UnlinkVersion) -> None:
        self._services.artifacts.unlink(self._actor, request)

    def update(self, request: UpdateVersion) -> VersionRecord:
        return self._services.artifacts.update(self._actor, request)

    def delete(self, request: DeleteVersion) -> None:
        self._services.artifacts.delete(self._actor, request)

    def list_versions(self, request: ListVersions) -> VersionPage:
        return self._services.artifacts.list_versions(self._actor, request)

    def list_collections(self, request: ListCollections) -> CollectionPage:
        return self._services.artifacts.list_collections(self._actor, request)

    def get_collection(self, entity: str, project: str, name: str) -> CollectionRecord:
        return self._services.artifacts.get_collection(self._actor, entity, project, name=name)

    def update_collection(self, request: UpdateCollection) -> CollectionRecord:
        return self._services.artifacts.update_collection(self._actor, request)

    def delete_collection(self, entity: str, project: str, name: str) -> None:
        self._services.artifacts.delete_collection(self._actor, entity, project, name=name)

    def alias_history(self, request: AliasHistory) -> AliasEvents:
        return self._services.artifacts.alias_history(self._actor, request)


class _Lineage(_Noun):
    def graph(self, request: ReadLineage) -> LineageGraph:
        return self._services.lineage.graph(self._actor, request)

    def producer(self, version_id: int) -> RunRecord:
        return self._services.lineage.producer(self._actor, version_id)

    def consumers(self, version_id: int) -> tuple[RunRecord, ...]:
        return self._services.lineage.consumers(self._actor, version_id)

    def inputs(self, run: RunRef) -> tuple[VersionRecord, ...]:
        return self._services.lineage.inputs(self._actor, run)

    def outputs(self, run: RunRef) -> tuple[VersionRecord, ...]:
        return self._services.lineage.outputs(self._actor, run)


class _Evaluations(_Noun):
    def record(self, request: RecordEvaluation) -> EvaluationRecord:
        return self._services.evaluations.record(self._actor, request)

    def list_for_version(self, version_id: int) -> tuple[EvaluationRecord, ...]:
        return self._services.evaluations.list_for_version(self._actor, version_id)

    def list_for_run(self, run: RunRef) -> tuple[EvaluationRecord, ...]:
        return self._services.evaluations.list_for_run(self._actor, run)


def _as_transport(transport: LocalTransport) -> Transport:
    """The type checker's proof that LocalTransport is a Transport."""
    return transport
