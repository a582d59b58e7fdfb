"""The audit trail in SQL. Append only."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, insert, select

from weighbridge.services.ports.audit import AuditEvent
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import audit_events

_INSERT = insert(audit_events)
_BY_SUBJECT = (
    select(
        audit_events.c.at,
        audit_events.c.actor,
        audit_events.c.action,
        audit_events.c.subject,
        audit_events.c.details,
    )
    .where(audit_events.c.subject == bindparam("subject"))
    .order_by(audit_events.c.at.desc(), audit_events.c.audit_event_pk.desc())
    .limit(bindparam("limit"))
)


class SqlAuditStore:
    """AuditStore over the `audit_events` table."""

    def add(self, tx: Transaction, event: AuditEvent) -> None:
        """Append an event."""
        connection(tx).execute(
            _INSERT,
            {
                "at": event.at,
                "actor": event.actor,
                "action": event.action,
                "subject": event.subject,
                "details": msgspec.json.encode(event.details).decode(),
            },
        )

    def list_for_subject(
        self, tx: Transaction, subject: str, *, limit: int = 1_000
    ) -> tuple[AuditEvent, ...]:
        """The newest `limit` events of one subject, newest first."""
        rows = connection(tx).execute(_BY_SUBJECT, {"subject": subject, "limit": limit})
        return tuple(
            AuditEvent(
                at=row.at,
                actor=row.actor,
                action=row.action,
                subject=row.subject,
                details=msgspec.json.decode(row.details, type=dict[str, object]),
            )
            for row in rows
        )
