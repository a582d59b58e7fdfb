"""The port of the audit trail: who did what to what, written in the transaction that did it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.services.ports.transaction import Transaction


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded act. `subject` is the path of the thing; `details` is small and JSON-safe."""

    at: float
    actor: str
    action: str
    subject: str
    details: dict[str, object]


class AuditStore(Protocol):
    """Appends audit events and reads them by subject."""

    def add(self, tx: Transaction, event: AuditEvent) -> None:
        """Append an event."""
        ...

    def list_for_subject(
        self, tx: Transaction, subject: str, *, limit: int = 1_000
    ) -> tuple[AuditEvent, ...]:
        """The newest `limit` events of one subject, newest first."""
        ...
