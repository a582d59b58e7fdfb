"""Opens a home: picks the adapters and hands each service the ports it needs. No rules live here.

Layout of a home: weighbridge.db, blobs/, spool/, cache/, and HOME.json, which says which format it all has.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from weighbridge.errors import SchemaTooNew, StorageError, StorageFull
from weighbridge.services.artifacts import ArtifactsService
from weighbridge.services.evaluations import EvaluationsService
from weighbridge.services.history import HistoryService
from weighbridge.services.lineage import LineageService
from weighbridge.services.lookup import ArtifactStores
from weighbridge.services.ports.blobs import BlobStore
from weighbridge.services.ports.clock import Clock
from weighbridge.services.projects import ProjectsService
from weighbridge.services.runs import RunsService

if TYPE_CHECKING:
    from weighbridge.services.ports.exports import TableWriter
    from weighbridge.services.ports.history import HistoryEngine
    from weighbridge.settings import Settings
    from weighbridge.storage.metadata.database import Database

HOME_FORMAT: Final = 1
"""Format of the home as a whole; the database has a schema version of its own."""
DATABASE_NAME: Final = "weighbridge.db"
BUSY_FLOOR_S: Final = 0.5
"""The least a write waits for another one, however short finish() may take."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        return time.time()


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who owns the home, and what short paths default to."""

    user: str
    entity: str
    organization: str
    location: str


@dataclass(frozen=True, kw_only=True)
class Services:
    """Every service over one home."""

    projects: ProjectsService
    runs: RunsService
    history: HistoryService
    artifacts: ArtifactsService
    lineage: LineageService
    evaluations: EvaluationsService
    blobs: BlobStore
    identity: Identity
    close: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What the store itself says of a home; `problems` of its database, none where it is whole."""

    schema_version: str
    file_system: str
    is_network: bool
    problems: tuple[str, ...]


class _Home(msgspec.Struct, frozen=True):
    """HOME.json."""

    format: int


def open_settings(settings: Settings) -> Services:
    """The services over the home that settings name. Raises as `open_home`."""
    return open_home(
        settings.home,
        user=settings.entity,
        entity=settings.entity,
        organization=settings.organization,
        network_home=settings.network_home,
        # A locked database must not hold up finish() for longer than its own limit.
        busy_timeout_s=max(BUSY_FLOOR_S, settings.finish_timeout_s),
    )


def open_home(
    home: Path,
    *,
    user: str,
    entity: str,
    organization: str,
    clock: Clock | None = None,
    network_home: str = "auto",
    busy_timeout_s: float | None = None,
) -> Services:
    """The services over a home, which is made if missing.

    `network_home`: whether the home is on a file system that hosts share (yes, no), or auto to look.
    `busy_timeout_s`: wait at most so long for another writer, where that is less than usual. Raises
    SchemaTooNew (written by a newer version), StorageBusy (another host or process holds it), StorageFull,
    StorageError (cannot be made or opened).
    """
    from weighbridge.storage.metadata import schema
    from weighbridge.storage.metadata.database import Database
    from weighbridge.storage.metadata.dialect import BUSY_TIMEOUT_S
    from weighbridge.storage.metadata.filesystem import is_on_network

    home = Path(os.path.abspath(home))
    _prepare_folders(home)
    is_network = network_home == "yes" or (network_home == "auto" and is_on_network(home))
    wait_s = BUSY_TIMEOUT_S if busy_timeout_s is None else min(BUSY_TIMEOUT_S, busy_timeout_s)
    database = Database(home / DATABASE_NAME, is_network=is_network, busy_timeout_s=wait_s)
    schema.prepare(database)
    identity = Identity(user=user, entity=entity, organization=organization, location=str(home))
    return _assemble(database, home, identity=identity, clock=clock or SystemClock())


def examine_home(settings: Settings) -> Examination:
    """Check the database of a home that was opened before. Reads all of it; changes nothing."""
    from weighbridge.storage.metadata import examination
    from weighbridge.storage.metadata.database import Database
    from weighbridge.storage.metadata.filesystem import filesystem_type, is_on_network

    home = Path(os.path.abspath(settings.home))
    is_network = settings.network_home == "yes" or (settings.network_home == "auto" and is_on_network(home))
    database = Database(home / DATABASE_NAME, is_network=is_network)
    try:
        return Examination(
            schema_version=examination.schema_version(database),
            file_system=filesystem_type(home) or "unknown",
            is_network=is_network,
            problems=examination.problems(database),
        )
    finally:
        database.close()


def open_table_writer() -> TableWriter:
    """What writes exported tables as Parquet. Needs NumPy, and no home."""
    from weighbridge.storage.history.exporting import ParquetTableWriter

    return ParquetTableWriter()


def _assemble(database: Database, home: Path, *, identity: Identity, clock: Clock) -> Services:
    from weighbridge.storage.blobs.local import LocalBlobStore
    from weighbridge.storage.metadata.addresses import SqlAddressBook
    from weighbridge.storage.metadata.aliases import SqlAliasStore
    from weighbridge.storage.metadata.audit import SqlAuditStore
    from weighbridge.storage.metadata.collections import SqlCollectionStore
    from weighbridge.storage.metadata.evaluations import SqlEvaluationStore
    from weighbridge.storage.metadata.history import SqlHistoryStore
    from weighbridge.storage.metadata.lineage import SqlLineageStore
    from weighbridge.storage.metadata.projects import SqlProjectStore
    from weighbridge.storage.metadata.runs import SqlRunStore
    from weighbridge.storage.metadata.spools import SqlSpoolStore
    from weighbridge.storage.metadata.versions import SqlVersionStore

    blobs = LocalBlobStore(home / "blobs")
    addresses, audit = SqlAddressBook(), SqlAuditStore()
    runs, history = SqlRunStore(), SqlHistoryStore()
    stores = ArtifactStores(
        unit_of_work=database,
        clock=clock,
        audit=audit,
        addresses=addresses,
        collections=SqlCollectionStore(),
        versions=SqlVersionStore(),
        aliases=SqlAliasStore(),
        lineage=SqlLineageStore(),
    )
    return Services(
        projects=ProjectsService(
            database, projects=SqlProjectStore(), addresses=addresses, audit=audit, clock=clock
        ),
        runs=RunsService(
            database,
            runs=runs,
            spools=SqlSpoolStore(),
            history=history,
            addresses=addresses,
            audit=audit,
            clock=clock,
        ),
        history=HistoryService(
            database, runs=runs, history=history, addresses=addresses, engine=_engine(blobs), clock=clock
        ),
        artifacts=ArtifactsService(stores, blobs=blobs, hasher=_digest),
        lineage=LineageService(stores, runs=runs),
        evaluations=EvaluationsService(stores, evaluations=SqlEvaluationStore()),
        blobs=blobs,
        identity=identity,
        close=database.close,
    )


def _engine(blobs: BlobStore) -> Callable[[], HistoryEngine]:
    """The engine of history, which needs NumPy: opened by the first read, not by a process that only logs."""

    @cache
    def engine() -> HistoryEngine:
        from weighbridge.storage.history.engine import HistoryEngine as Engine

        return Engine(blobs)

    return engine


def _digest(data: bytes) -> str:
    from blake3 import blake3

    return blake3(data).hexdigest()


def _prepare_folders(home: Path) -> None:
    """Make the folders, and write or check HOME.json."""
    marker = home / "HOME.json"
    try:
        found = marker.read_bytes() if marker.exists() else None
        if found is None:
            for name in ("blobs", "spool", "cache"):
                (home / name).mkdir(parents=True, exist_ok=True)
            _write_marker(marker)
            return
    except OSError as error:
        kind = StorageFull if error.errno == errno.ENOSPC else StorageError
        raise kind(
            f"The home {home} cannot be used: {error.strerror or error}.",
            hint="Make the folder writable, or set WEIGHBRIDGE_HOME to another one.",
            details={"home": str(home)},
        ) from error
    try:
        version = msgspec.json.decode(found, type=_Home).format
    except msgspec.DecodeError as error:
        raise StorageError(
            f"{marker} cannot be read: {error}.",
            hint=f'Restore it, or write {{"format": {HOME_FORMAT}}} into it.',
        ) from error
    if version > HOME_FORMAT:
        raise SchemaTooNew(
            f"The home {home} has format {version}; this version of Weighbridge knows up to {HOME_FORMAT}.",
            hint="Upgrade weighbridge, or set WEIGHBRIDGE_HOME to another folder.",
            details={"found": version, "known": HOME_FORMAT},
        )


def _write_marker(marker: Path) -> None:
    """Write HOME.json whole or not at all; two processes may write it at once, and write the same."""
    draft = marker.with_name(f"{marker.name}.{os.getpid()}.{time.monotonic_ns()}")
    with draft.open("xb") as file:
        file.write(msgspec.json.encode(_Home(HOME_FORMAT)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(marker)
