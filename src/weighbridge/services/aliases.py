"""How aliases move: one holder each, every move kept with who, when and why; `latest` moved by the system.

Works inside the transaction of the service that asks. It must not decide which version is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from weighbridge.domain.names import LATEST, check_alias
from weighbridge.errors import AliasMoved, Conflict, InvalidInput, LimitExceeded
from weighbridge.services.lookup import ArtifactStores, check_unicode, moment
from weighbridge.services.ports.aliases import AliasMove
from weighbridge.services.ports.audit import AuditEvent
from weighbridge.services.ports.collections import Collection
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import Membership

ALIASES_PER_CALL_MAX: Final = 100
ALIASES_PER_COLLECTION_MAX: Final = 1_000
REASON_MAX: Final = 4_096


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """Who moves an alias, when, why, and from which run."""

    actor: str
    at: float
    reason: str = ""
    run_pk: int | None = None


def check_aliases(aliases: Iterable[str]) -> tuple[str, ...]:
    """The aliases without repeats and without `latest`. Raises InvalidName, LimitExceeded.

    W&B's client sends `latest` with every version it logs, so it is passed over here and not refused.
    """
    given = tuple(dict.fromkeys(aliases))
    if len(given) > ALIASES_PER_CALL_MAX:
        raise LimitExceeded(
            f"{len(given)} aliases were given at once; at most {ALIASES_PER_CALL_MAX} are allowed.",
            hint="Use tags for labels that many versions share.",
            details={"count": len(given), "limit": ALIASES_PER_CALL_MAX},
        )
    return tuple(check_alias(alias) for alias in given if alias != LATEST)


def check_reason(reason: str) -> str:
    """The reason of a move if it is short enough. Raises LimitExceeded."""
    if len(reason) > REASON_MAX:
        raise LimitExceeded(
            f"The reason of an alias move has {len(reason):,} characters; at most {REASON_MAX:,} are kept.",
            hint="Shorten it and link to the long text.",
            details={"length": len(reason), "limit": REASON_MAX},
        )
    check_unicode("reason", reason)
    return reason


class AliasMoves:
    """Moves aliases of one collection."""

    def __init__(self, stores: ArtifactStores) -> None:
        self._stores = stores

    def assign(
        self,
        tx: Transaction,
        collection: Collection,
        membership: Membership,
        *,
        aliases: Iterable[str],
        occasion: Occasion,
    ) -> None:
        """Make each alias point to the membership; what points there already is left alone."""
        for alias in aliases:
            holder = self._stores.aliases.holder(tx, collection.collection_id, alias)
            if holder is None:
                self._check_room(tx, collection)
            self._point(tx, collection, alias, holder=holder, target=membership, occasion=occasion)

    def withdraw(
        self,
        tx: Transaction,
        collection: Collection,
        membership: Membership,
        *,
        aliases: Iterable[str],
        occasion: Occasion,
    ) -> None:
        """Remove each alias that points to the membership; one that another version holds stays there."""
        for alias in aliases:
            holder = self._stores.aliases.holder(tx, collection.collection_id, alias)
            if holder is not None and holder.membership_id == membership.membership_id:
                self._point(tx, collection, alias, holder=holder, target=None, occasion=occasion)

    def set_latest(
        self, tx: Transaction, collection: Collection, *, membership: Membership, occasion: Occasion
    ) -> None:
        """Make `latest` point to a version just logged or linked."""
        holder = self._stores.aliases.holder(tx, collection.collection_id, LATEST)
        self._point(tx, collection, LATEST, holder=holder, target=membership, occasion=occasion)

    def release(
        self, tx: Transaction, collection: Collection, *, membership: Membership, occasion: Occasion
    ) -> None:
        """Take every alias from a membership that leaves.

        `latest` goes to the highest number of a live version that is left.
        """
        held = self._stores.aliases.of_membership(tx, membership.membership_id)
        for alias in held:
            target = None
            if alias == LATEST:
                target = self._newest_but(tx, collection, membership)
            self._point(tx, collection, alias, holder=membership, target=target, occasion=occasion)

    def guard(
        self,
        tx: Transaction,
        collection: Collection,
        *,
        expected: Mapping[str, str | None],
        wanted: Mapping[str, str | None],
    ) -> None:
        """Raise AliasMoved unless each alias points where the caller believes it does.

        One that points where the call would put it (`wanted`) passes too, so that a call can be repeated.
        """
        check_unicode("alias", *expected)
        for alias, belief in expected.items():
            holder = self._stores.aliases.holder(tx, collection.collection_id, alias)
            actual = None if holder is None else holder.version
            if actual == belief or (alias in wanted and wanted[alias] == actual):
                continue
            raise self._moved(tx, collection, alias=alias, expected=belief, actual=actual)

    def _moved(
        self, tx: Transaction, collection: Collection, *, alias: str, expected: str | None, actual: str | None
    ) -> AliasMoved:
        events = self._stores.aliases.events(tx, collection.collection_id, alias=alias, until=None, limit=1)
        last = f"{events[0].actor} moved it at {moment(events[0].at)}. " if events else ""
        return AliasMoved(
            f"Alias {alias!r} of {collection.path!r} points to {actual or 'nothing'}, "
            f"not to {expected or 'nothing'} as expected.",
            hint=f"{last}Look at what it points to now, then decide again.",
            details={"alias": alias, "collection": collection.path, "expected": expected, "actual": actual},
        )

    def _newest_but(self, tx: Transaction, collection: Collection, leaving: Membership) -> Membership | None:
        newest = self._stores.versions.page(tx, collection.collection_id, before=None, limit=2)
        return next((each for each in newest if each.membership_id != leaving.membership_id), None)

    def _check_room(self, tx: Transaction, collection: Collection) -> None:
        count = self._stores.aliases.count(tx, collection.collection_id)
        if count >= ALIASES_PER_COLLECTION_MAX:
            raise LimitExceeded(
                f"Collection {collection.path!r} has {count:,} aliases, which is the most it may have.",
                hint="Remove aliases that are not used, or use tags.",
                details={"collection": collection.path, "limit": ALIASES_PER_COLLECTION_MAX},
            )

    def _point(
        self,
        tx: Transaction,
        collection: Collection,
        alias: str,
        *,
        holder: Membership | None,
        target: Membership | None,
        occasion: Occasion,
    ) -> None:
        before = None if holder is None else holder.membership_id
        after = None if target is None else target.membership_id
        if before == after:
            return
        if target is None:
            self._stores.aliases.remove(tx, collection.collection_id, alias)
        else:
            self._stores.aliases.point(
                tx, collection.collection_id, alias, membership_id=target.membership_id
            )
        self._stores.aliases.add_event(
            tx,
            AliasMove(
                collection_id=collection.collection_id,
                alias=alias,
                from_index=None if holder is None else holder.version_index,
                to_index=None if target is None else target.version_index,
                at=occasion.at,
                actor=occasion.actor,
                reason=occasion.reason,
                run_pk=occasion.run_pk,
            ),
        )
        if alias == LATEST:
            return  # It follows from the version event that the same transaction writes.
        details: dict[str, object] = {
            "alias": alias,
            "from": None if holder is None else holder.version,
            "to": None if target is None else target.version,
            "reason": occasion.reason,
        }
        self._stores.audit.add(
            tx,
            AuditEvent(
                at=occasion.at,
                actor=occasion.actor,
                action="alias.moved",
                subject=collection.path,
                details=details,
            ),
        )


def check_changes(added: Iterable[str], removed: Iterable[str], *, held: Iterable[str]) -> None:
    """Raise unless the aliases to add and to remove go together and leave `latest` where it is."""
    added, removed, held = set(added), set(removed), set(held)
    both = sorted(added & removed)
    if both:
        raise InvalidInput(
            f"Alias {both[0]!r} is both to be added and to be removed.",
            hint="Leave it out of one of the two.",
            details={"alias": both[0]},
        )
    if (LATEST in added and LATEST not in held) or (LATEST in removed and LATEST in held):
        raise Conflict(
            "Alias 'latest' is kept by the system: it points to the version logged or linked last.",
            hint="Choose another alias, such as 'candidate'.",
            details={"alias": LATEST},
        )
