"""The port of spools as the store sees them: how far each is stored, and whether its writer lives."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.services.ports.transaction import Transaction


class Spool(msgspec.Struct, frozen=True, kw_only=True):
    """One client log of one run."""

    spool_pk: int
    run_pk: int
    spool_id: str
    next_offset: int
    is_open: bool
    is_attached: bool
    heartbeat_at: float


class SpoolStore(Protocol):
    """Keeps spools."""

    def find(self, tx: Transaction, spool_id: str) -> Spool | None:
        """A spool by its id."""
        ...

    def create(self, tx: Transaction, run_pk: int, spool_id: str, *, is_attached: bool, at: float) -> None:
        """Record a new, open spool of which nothing is stored."""
        ...

    def update(
        self, tx: Transaction, spool_pk: int, *, next_offset: int, is_open: bool, heartbeat_at: float
    ) -> None:
        """Set what moves."""
        ...

    def has_earlier(self, tx: Transaction, spool: Spool) -> bool:
        """Whether the run had a spool before this one."""
        ...

    def has_other_open(self, tx: Transaction, run_pk: int, spool_id: str, *, since: float) -> bool:
        """Whether another spool of the run is open, with a heartbeat at `since` or later."""
        ...
