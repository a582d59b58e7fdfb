"""The port of aliases: who holds which now, and every move ever made."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.domain.artifact import AliasEvent
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import Membership


class AliasMove(msgspec.Struct, frozen=True, kw_only=True):
    """One move to be written down; an index of None means that nothing held it, or holds it now."""

    collection_id: int
    alias: str
    from_index: int | None
    to_index: int | None
    at: float
    actor: str
    reason: str = ""
    run_pk: int | None = None


class AliasStore(Protocol):
    """Keeps aliases, unique in a collection, and their moves, which are never changed."""

    def holder(self, tx: Transaction, collection_id: int, alias: str) -> Membership | None:
        """The membership that an alias points to."""
        ...

    def point(self, tx: Transaction, collection_id: int, alias: str, *, membership_id: int) -> None:
        """Make an alias point to a membership, wherever it pointed before."""
        ...

    def remove(self, tx: Transaction, collection_id: int, alias: str) -> None:
        """Remove an alias; no-op if absent."""
        ...

    def of_membership(self, tx: Transaction, membership_id: int) -> tuple[str, ...]:
        """The aliases of a membership by name."""
        ...

    def of_collection(self, tx: Transaction, collection_id: int) -> dict[str, int]:
        """alias -> number of the version it points to, by name."""
        ...

    def count(self, tx: Transaction, collection_id: int) -> int:
        """How many aliases a collection has."""
        ...

    def add_event(self, tx: Transaction, move: AliasMove) -> None:
        """Write a move down. Times of one alias never run backwards: an earlier one is raised to the last."""
        ...

    def events(
        self, tx: Transaction, collection_id: int, *, alias: str | None, until: float | None, limit: int
    ) -> tuple[AliasEvent, ...]:
        """The newest `limit` moves up to `until` (inclusive), oldest first; of all aliases where None."""
        ...
