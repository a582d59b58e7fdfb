"""A small world to test artifacts in: a real database and real stores, blobs in memory, a clock that tests turn."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from weighbridge.domain.artifact import VersionRecord
from weighbridge.domain.manifest import Manifest, ManifestEntry
from weighbridge.domain.run import RunRef, RunState
from weighbridge.services.access import Actor
from weighbridge.services.artifacts import ArtifactsService
from weighbridge.services.evaluations import EvaluationsService
from weighbridge.services.lineage import LineageService
from weighbridge.services.lookup import ArtifactStores
from weighbridge.services.ports.audit import AuditEvent
from weighbridge.services.ports.runs import NewRun, RunChanges, RunDocuments
from weighbridge.storage.blobs.memory import MemoryBlobStore
from weighbridge.storage.metadata.addresses import SqlAddressBook
from weighbridge.storage.metadata.aliases import SqlAliasStore
from weighbridge.storage.metadata.audit import SqlAuditStore
from weighbridge.storage.metadata.collections import SqlCollectionStore
from weighbridge.storage.metadata.database import Database
from weighbridge.storage.metadata.evaluations import SqlEvaluationStore
from weighbridge.storage.metadata.lineage import SqlLineageStore
from weighbridge.storage.metadata.runs import SqlRunStore
from weighbridge.storage.metadata.schema import prepare
from weighbridge.storage.metadata.versions import SqlVersionStore
from weighbridge.wire.artifacts import LinkVersion, LogArtifact, ResolveVersion, UpdateVersion, UseVersion

ENTITY = "ann"
PROJECT = "digits"
REGISTRY = "model-registry"
ANN = Actor("ann")
BEN = Actor("ben")


class TurnedClock:
    """A clock that only moves when it is told to."""

    def __init__(self, at: float = 1_000.0) -> None:
        self.at = at

    def now(self) -> float:
        """The time it was turned to."""
        return self.at


def hash_bytes(data: bytes) -> str:
    """BLAKE3 of bytes, as blobs are named."""
    return blake3(data).hexdigest()


class World:
    """Services over one database; two worlds may open the same one."""

    def __init__(self, path: Path, *, blobs: MemoryBlobStore | None = None) -> None:
        self.database = Database(path)
        prepare(self.database)
        self.clock = TurnedClock()
        self.blobs = blobs or MemoryBlobStore()
        self.runs = SqlRunStore()
        self.stores = ArtifactStores(
            unit_of_work=self.database,
            clock=self.clock,
            audit=SqlAuditStore(),
            addresses=SqlAddressBook(),
            collections=SqlCollectionStore(),
            versions=SqlVersionStore(),
            aliases=SqlAliasStore(),
            lineage=SqlLineageStore(),
        )
        self.artifacts = ArtifactsService(self.stores, blobs=self.blobs, hasher=hash_bytes)
        self.lineage = LineageService(self.stores, runs=self.runs)
        self.evaluations = EvaluationsService(self.stores, evaluations=SqlEvaluationStore())
        self._client_ids = 0

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def run(
        self,
        run_id: str,
        *,
        project: str = PROJECT,
        job_type: str = "",
        summary: dict[str, object] | None = None,
    ) -> RunRef:
        """A finished run."""
        with self.database.write() as tx:
            project_pk = self.stores.addresses.ensure_project(tx, ENTITY, project, at=self.clock.at)
            new = NewRun(
                project_pk=project_pk,
                run_id=run_id,
                number=1,
                display_name=f"name-of-{run_id}",
                state=RunState.FINISHED,
                job_type=job_type,
                group="",
                notes="",
                user="ann",
                created_at=self.clock.at,
                at=self.clock.at,
            )
            run_pk = self.runs.create(tx, new)
            self.runs.create_documents(tx, run_pk, RunDocuments(summary=summary or {}))
        return RunRef(ENTITY, project, run_id)

    def delete_run(self, run: RunRef) -> None:
        """Leave a tombstone of a run."""
        with self.database.write() as tx:
            found = self.stores.addresses.find_run(tx, run)
            assert found is not None
            self.runs.update(tx, found.run_pk, RunChanges(is_deleted=True))

    def manifest(self, content: str, *, path: str = "model.bin") -> Manifest:
        """A manifest of one file whose bytes are in the store."""
        info = self.blobs.put_bytes(content.encode())
        return Manifest.build([ManifestEntry(path=path, digest=info.digest, size_bytes=info.size_bytes)])

    def request(
        self,
        name: str,
        content: str,
        *,
        type_name: str = "model",
        project: str = PROJECT,
        run: RunRef | None = None,
        client_id: str | None = None,
        aliases: tuple[str, ...] = (),
        tags: tuple[str, ...] = (),
        used_by_run: bool = False,
        history_step: int | None = None,
    ) -> LogArtifact:
        """A request to log one file."""
        self._client_ids += 1
        manifest = self.manifest(content)
        return LogArtifact(
            entity=ENTITY,
            project=project,
            name=name,
            type=type_name,
            client_id=client_id or f"client-{id(self)}-{self._client_ids}",
            manifest=manifest.encode(),
            digest=hash_bytes(manifest.canonical_bytes()),
            run=run,
            aliases=aliases,
            tags=tags,
            used_by_run=used_by_run,
            history_step=history_step,
        )

    def log(
        self,
        name: str,
        content: str,
        *,
        run: RunRef | None = None,
        aliases: tuple[str, ...] = (),
        type_name: str = "model",
    ) -> VersionRecord:
        """A version of one file."""
        request = self.request(name, content, run=run, aliases=aliases, type_name=type_name)
        return self.artifacts.log(ANN, request)

    def link(
        self,
        version: VersionRecord,
        collection: str,
        *,
        aliases: tuple[str, ...] = (),
        project: str = REGISTRY,
        run: RunRef | None = None,
    ) -> VersionRecord:
        """The version as seen through a portfolio."""
        request = LinkVersion(
            version_id=version.version_id,
            entity=ENTITY,
            project=project,
            collection=collection,
            aliases=aliases,
            run=run,
        )
        return self.artifacts.link(ANN, request)

    def find(
        self, collection: str, version: str, *, project: str = PROJECT, type_name: str | None = None
    ) -> VersionRecord:
        """What a name and a version resolve to."""
        request = ResolveVersion(
            entity=ENTITY, project=project, collection=collection, version=version, type=type_name
        )
        return self.artifacts.resolve(ANN, request)

    def move(
        self,
        seen: VersionRecord,
        *,
        added: tuple[str, ...] = (),
        removed: tuple[str, ...] = (),
        expected: dict[str, str | None] | None = None,
        reason: str = "",
        actor: Actor = ANN,
    ) -> VersionRecord:
        """Add and remove aliases of a version in the collection it was seen through."""
        request = UpdateVersion(
            version_id=seen.version_id,
            entity=seen.entity,
            project=seen.project,
            collection=seen.collection,
            aliases_added=added,
            aliases_removed=removed,
            expected=expected or {},
            reason=reason,
        )
        return self.artifacts.update(actor, request)

    def use(self, run: RunRef, seen: VersionRecord, *, used_as: str = "") -> None:
        """Record that a run used a version through the collection it was seen through."""
        request = UseVersion(
            run=run,
            version_id=seen.version_id,
            entity=seen.entity,
            project=seen.project,
            collection=seen.collection,
            used_as=used_as,
        )
        self.artifacts.use(ANN, request)

    def audited(self, subject: str) -> list[str]:
        """Actions on a subject, oldest first."""
        with self.database.read() as tx:
            events = self.stores.audit.list_for_subject(tx, subject)
        return [event.action for event in reversed(events)]

    def audit_events(self, subject: str) -> tuple[AuditEvent, ...]:
        """Events of a subject, newest first."""
        with self.database.read() as tx:
            return self.stores.audit.list_for_subject(tx, subject)
