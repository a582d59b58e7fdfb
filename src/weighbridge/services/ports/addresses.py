"""The port that turns the address of a project or a run into its key, for services whose noun is another."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.domain.run import RunRef
from weighbridge.services.ports.transaction import Transaction

NAMES_MAX = 1_000
"""Most names read to find the nearest to a wrong one."""


class FoundRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run's key and whether only its tombstone is left."""

    run_pk: int
    is_deleted: bool


class AddressBook(Protocol):
    """Finds projects and runs by name."""

    def find_project(self, tx: Transaction, entity: str, project: str) -> int | None:
        """The project's key."""
        ...

    def ensure_project(self, tx: Transaction, entity: str, project: str, *, at: float) -> int:
        """The project's key; it and its entity are made if missing. The caller has checked the names."""
        ...

    def find_run(self, tx: Transaction, run: RunRef) -> FoundRun | None:
        """The run's key, deleted runs included."""
        ...

    def project_paths(self, tx: Transaction) -> tuple[str, ...]:
        """`entity/project` of at most NAMES_MAX projects, newest first."""
        ...

    def run_ids(self, tx: Transaction, entity: str, project: str) -> tuple[str, ...]:
        """Ids of at most NAMES_MAX live runs of a project, newest first."""
        ...
