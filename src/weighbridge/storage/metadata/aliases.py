"""Aliases and their moves in SQL. Which alias may move where is decided by the services."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from weighbridge.domain.artifact import AliasEvent
from weighbridge.domain.run import RunRef
from weighbridge.services.ports.aliases import AliasMove
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import Membership
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import (
    alias_events,
    aliases,
    entities,
    memberships,
    projects,
    runs,
    versions,
)
from weighbridge.storage.metadata.versions import membership_of

_KEY: Final = (
    aliases.c.collection_pk == bindparam("key_collection"),
    aliases.c.alias == bindparam("key_alias"),
)
_HOLDER: Final = (
    select(
        memberships.c.membership_pk,
        memberships.c.collection_pk,
        memberships.c.version_pk,
        memberships.c.version_index,
        versions.c.is_deleted,
    )
    .join(aliases, aliases.c.membership_pk == memberships.c.membership_pk)
    .join(versions, versions.c.version_pk == memberships.c.version_pk)
    .where(*_KEY)
)
_POINT: Final = update(aliases).where(*_KEY)
_REMOVE: Final = delete(aliases).where(*_KEY)
_OF_MEMBERSHIP: Final = (
    select(aliases.c.alias)
    .where(aliases.c.membership_pk == bindparam("membership"))
    .order_by(aliases.c.alias)
)
_OF_COLLECTION: Final = (
    select(aliases.c.alias, memberships.c.version_index)
    .join(memberships, memberships.c.membership_pk == aliases.c.membership_pk)
    .where(aliases.c.collection_pk == bindparam("collection"))
    .order_by(aliases.c.alias)
)
_COUNT: Final = (
    select(func.count()).select_from(aliases).where(aliases.c.collection_pk == bindparam("collection"))
)
_LAST_AT: Final = select(func.max(alias_events.c.at)).where(
    alias_events.c.collection_pk == bindparam("collection"), alias_events.c.alias == bindparam("alias")
)
_EVENTS: Final = (
    select(
        alias_events.c.alias,
        alias_events.c.at,
        alias_events.c.actor,
        alias_events.c.from_index,
        alias_events.c.to_index,
        alias_events.c.reason,
        entities.c.name.label("run_entity"),
        projects.c.name.label("run_project"),
        runs.c.run_id,
    )
    .outerjoin(runs, runs.c.run_pk == alias_events.c.run_pk)
    .outerjoin(projects, projects.c.project_pk == runs.c.project_pk)
    .outerjoin(entities, entities.c.entity_pk == projects.c.entity_pk)
    .where(alias_events.c.collection_pk == bindparam("collection"))
    .order_by(alias_events.c.at.desc(), alias_events.c.alias_event_pk.desc())
    .limit(bindparam("limit"))
)


class SqlAliasStore:
    """AliasStore over `aliases` and `alias_events`."""

    def holder(self, tx: Transaction, collection_id: int, alias: str) -> Membership | None:
        """The membership that an alias points to."""
        keys = {"key_collection": collection_id, "key_alias": alias}
        row = connection(tx).execute(_HOLDER, keys).one_or_none()
        return None if row is None else membership_of(row)

    def point(self, tx: Transaction, collection_id: int, alias: str, *, membership_id: int) -> None:
        """Make an alias point to a membership."""
        sql = connection(tx)
        moved = sql.execute(
            _POINT, {"key_collection": collection_id, "key_alias": alias, "membership_pk": membership_id}
        )
        if moved.rowcount == 0:
            row = {"collection_pk": collection_id, "alias": alias, "membership_pk": membership_id}
            sql.execute(insert(aliases), row)

    def remove(self, tx: Transaction, collection_id: int, alias: str) -> None:
        """Remove an alias."""
        connection(tx).execute(_REMOVE, {"key_collection": collection_id, "key_alias": alias})

    def of_membership(self, tx: Transaction, membership_id: int) -> tuple[str, ...]:
        """The aliases of a membership by name."""
        return tuple(connection(tx).execute(_OF_MEMBERSHIP, {"membership": membership_id}).scalars())

    def of_collection(self, tx: Transaction, collection_id: int) -> dict[str, int]:
        """alias -> number, by name."""
        rows = connection(tx).execute(_OF_COLLECTION, {"collection": collection_id})
        return {row.alias: row.version_index for row in rows}

    def count(self, tx: Transaction, collection_id: int) -> int:
        """How many aliases a collection has."""
        return int(connection(tx).execute(_COUNT, {"collection": collection_id}).scalar_one())

    def add_event(self, tx: Transaction, move: AliasMove) -> None:
        """Write a move down, not before the alias's last one."""
        sql = connection(tx)
        last = sql.execute(_LAST_AT, {"collection": move.collection_id, "alias": move.alias}).scalar()
        row = {
            "collection_pk": move.collection_id,
            "alias": move.alias,
            "at": move.at if last is None else max(move.at, last),
            "actor": move.actor,
            "from_index": move.from_index,
            "to_index": move.to_index,
            "reason": move.reason,
            "run_pk": move.run_pk,
        }
        sql.execute(insert(alias_events), row)

    def events(
        self, tx: Transaction, collection_id: int, *, alias: str | None, until: float | None, limit: int
    ) -> tuple[AliasEvent, ...]:
        """The newest moves up to `until`, oldest first."""
        statement = _EVENTS
        if alias is not None:
            statement = statement.where(alias_events.c.alias == alias)
        if until is not None:
            statement = statement.where(alias_events.c.at <= until)
        rows = connection(tx).execute(statement, {"collection": collection_id, "limit": limit}).all()
        return tuple(
            AliasEvent(
                alias=row.alias,
                at=row.at,
                actor=row.actor,
                from_version=_version(row.from_index),
                to_version=_version(row.to_index),
                reason=row.reason,
                run=None if row.run_id is None else RunRef(row.run_entity, row.run_project, row.run_id),
            )
            for row in reversed(rows)
        )


def _version(index: int | None) -> str | None:
    return None if index is None else f"v{index}"
