"""The port of project records with their counts. Keys by name are in addresses.py."""

from __future__ import annotations

from typing import Protocol

from weighbridge.domain.registry import ProjectRecord
from weighbridge.services.ports.transaction import Transaction


class ProjectStore(Protocol):
    """Reads and describes projects."""

    def find(self, tx: Transaction, entity: str, name: str) -> ProjectRecord | None:
        """One project with its counts."""
        ...

    def page(
        self, tx: Transaction, entity: str | None, *, cursor: str | None, limit: int
    ) -> tuple[ProjectRecord, ...]:
        """Projects by path, after the path `cursor`."""
        ...

    def describe(self, tx: Transaction, project_pk: int, description: str) -> None:
        """Set the description."""
        ...
