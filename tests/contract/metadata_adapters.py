"""The metadata adapters every contract test runs over. A further database is one more entry of ADAPTERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from weighbridge.services.ports.addresses import AddressBook
from weighbridge.services.ports.audit import AuditStore
from weighbridge.services.ports.history import HistoryStore
from weighbridge.services.ports.projects import ProjectStore
from weighbridge.services.ports.runs import RunStore
from weighbridge.services.ports.spools import SpoolStore
from weighbridge.services.ports.unit_of_work import UnitOfWork


class ClosingUnitOfWork(UnitOfWork, Protocol):
    """A unit of work that a test closes at its end."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Metadata:
    """The ports of one adapter over one new, empty database."""

    uow: ClosingUnitOfWork
    addresses: AddressBook
    projects: ProjectStore
    runs: RunStore
    spools: SpoolStore
    history: HistoryStore
    audit: AuditStore


def sqlite(folder: Path) -> Metadata:
    """A new SQLite file."""
    return _sqlite(folder, is_network=False)


def sqlite_on_network(folder: Path) -> Metadata:
    """A new SQLite file used as on a file system that hosts share."""
    return _sqlite(folder, is_network=True)


def _sqlite(folder: Path, *, is_network: bool) -> Metadata:
    from weighbridge.storage.metadata import schema
    from weighbridge.storage.metadata.addresses import SqlAddressBook
    from weighbridge.storage.metadata.audit import SqlAuditStore
    from weighbridge.storage.metadata.database import Database
    from weighbridge.storage.metadata.history import SqlHistoryStore
    from weighbridge.storage.metadata.projects import SqlProjectStore
    from weighbridge.storage.metadata.runs import SqlRunStore
    from weighbridge.storage.metadata.spools import SqlSpoolStore

    database = Database(folder / "weighbridge.db", is_network=is_network)
    schema.prepare(database)
    return Metadata(
        uow=database,
        addresses=SqlAddressBook(),
        projects=SqlProjectStore(),
        runs=SqlRunStore(),
        spools=SqlSpoolStore(),
        history=SqlHistoryStore(),
        audit=SqlAuditStore(),
    )


ADAPTERS: dict[str, Callable[[Path], Metadata]] = {"sqlite": sqlite, "sqlite on network": sqlite_on_network}
