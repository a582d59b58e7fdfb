"""Spools in SQL."""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select, update

from weighbridge.services.ports.spools import Spool
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import spools

_FIND = select(spools).where(spools.c.spool_id == bindparam("spool_id"))
_INSERT = insert(spools)
_UPDATE = (
    update(spools)
    .where(spools.c.spool_pk == bindparam("pk"))
    .values(
        next_offset=bindparam("next_offset"),
        is_open=bindparam("is_open"),
        heartbeat_at=bindparam("heartbeat_at"),
    )
)
_EARLIER = (
    select(spools.c.spool_pk)
    .where(spools.c.run_pk == bindparam("run_pk"), spools.c.spool_pk < bindparam("spool_pk"))
    .limit(1)
)
_OTHER_OPEN = (
    select(spools.c.spool_pk)
    .where(
        spools.c.run_pk == bindparam("run_pk"),
        spools.c.spool_id != bindparam("spool_id"),
        spools.c.is_open,
        spools.c.heartbeat_at >= bindparam("since"),
    )
    .limit(1)
)


class SqlSpoolStore:
    """SpoolStore over the `spools` table."""

    def find(self, tx: Transaction, spool_id: str) -> Spool | None:
        """A spool by its id."""
        row = connection(tx).execute(_FIND, {"spool_id": spool_id}).first()
        if row is None:
            return None
        return Spool(
            spool_pk=row.spool_pk,
            run_pk=row.run_pk,
            spool_id=row.spool_id,
            next_offset=row.next_offset,
            is_open=row.is_open,
            is_attached=row.is_attached,
            heartbeat_at=row.heartbeat_at,
        )

    def create(self, tx: Transaction, run_pk: int, spool_id: str, *, is_attached: bool, at: float) -> None:
        """Record a new, open spool of which nothing is stored."""
        connection(tx).execute(
            _INSERT,
            {
                "run_pk": run_pk,
                "spool_id": spool_id,
                "next_offset": 0,
                "is_open": True,
                "is_attached": is_attached,
                "heartbeat_at": at,
            },
        )

    def update(
        self, tx: Transaction, spool_pk: int, *, next_offset: int, is_open: bool, heartbeat_at: float
    ) -> None:
        """Set what moves."""
        connection(tx).execute(
            _UPDATE,
            {"pk": spool_pk, "next_offset": next_offset, "is_open": is_open, "heartbeat_at": heartbeat_at},
        )

    def has_earlier(self, tx: Transaction, spool: Spool) -> bool:
        """Whether the run had a spool before this one."""
        found = connection(tx).execute(_EARLIER, {"run_pk": spool.run_pk, "spool_pk": spool.spool_pk})
        return found.first() is not None

    def has_other_open(self, tx: Transaction, run_pk: int, spool_id: str, *, since: float) -> bool:
        """Whether another spool of the run is open, with a heartbeat at `since` or later."""
        found = connection(tx).execute(_OTHER_OPEN, {"run_pk": run_pk, "spool_id": spool_id, "since": since})
        return found.first() is not None
