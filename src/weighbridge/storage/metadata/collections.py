"""Artifact collections in SQL. No rules: what may be made, renamed or deleted is decided by the services.

A deleted collection keeps its row, so that versions and lineage keep their source: its kind says so and its
name has `:<id>` after it, which no user may write, so the name is free again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, func, insert, or_, select, update
from sqlalchemy import delete as sql_delete

from weighbridge.domain.artifact import CollectionKind, CollectionRecord
from weighbridge.services.ports.addresses import NAMES_MAX
from weighbridge.services.ports.collections import (
    Collection,
    CollectionChange,
    CollectionQuery,
    NewCollection,
)
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import (
    aliases,
    collection_tags,
    collections,
    entities,
    memberships,
    projects,
    versions,
)

_DELETED: Final = "deleted_"
LIVE_KINDS: Final = tuple(kind.value for kind in CollectionKind)

_IDENTITY: Final = (
    select(
        collections.c.collection_pk,
        entities.c.name.label("entity"),
        projects.c.name.label("project"),
        collections.c.name,
        collections.c.kind,
        collections.c.type,
    )
    .join(projects, projects.c.project_pk == collections.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
)
_IN_PROJECT: Final = (
    entities.c.name == bindparam("entity"),
    projects.c.name == bindparam("project"),
)
_IS_LIVE: Final = collections.c.kind.in_(LIVE_KINDS)
_FIND: Final = _IDENTITY.where(*_IN_PROJECT, collections.c.name == bindparam("name"), _IS_LIVE)
_WAS_DELETED: Final = (
    _IDENTITY.where(
        *_IN_PROJECT,
        collections.c.name >= bindparam("first"),
        collections.c.name < bindparam("past"),
    )
).limit(1)
_BY_ID: Final = _IDENTITY.where(collections.c.collection_pk.in_(bindparam("ids", expanding=True)))
_NAMES: Final = (
    select(collections.c.name)
    .join(projects, projects.c.project_pk == collections.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .where(*_IN_PROJECT, _IS_LIVE)
    .order_by(collections.c.collection_pk.desc())
    .limit(NAMES_MAX)
)
_MAKE: Final = insert(collections).returning(collections.c.collection_pk)
_DETAILS: Final = _IDENTITY.add_columns(
    collections.c.description, collections.c.created_at, collections.c.updated_at
).where(collections.c.collection_pk.in_(bindparam("ids", expanding=True)))
_COUNTS: Final = (
    select(memberships.c.collection_pk, func.count().label("live"))
    .join(versions, versions.c.version_pk == memberships.c.version_pk)
    .where(
        memberships.c.collection_pk.in_(bindparam("ids", expanding=True)), versions.c.is_deleted.is_(False)
    )
    .group_by(memberships.c.collection_pk)
)
_ALIASES: Final = (
    select(aliases.c.collection_pk, aliases.c.alias, memberships.c.version_index)
    .join(memberships, memberships.c.membership_pk == aliases.c.membership_pk)
    .where(aliases.c.collection_pk.in_(bindparam("ids", expanding=True)))
    .order_by(aliases.c.collection_pk, aliases.c.alias)
)
_TAGS: Final = (
    select(collection_tags.c.collection_pk, collection_tags.c.tag)
    .where(collection_tags.c.collection_pk.in_(bindparam("ids", expanding=True)))
    .order_by(collection_tags.c.collection_pk, collection_tags.c.tag)
)


def shown_name(name: str) -> str:
    """A collection's name as its users know it, also where it is a tombstone."""
    return name.partition(":")[0]


def _identity(row: Row[*tuple[Any, ...]]) -> Collection:
    return Collection(
        collection_id=row.collection_pk,
        entity=row.entity,
        project=row.project,
        name=shown_name(row.name),
        kind=CollectionKind(row.kind.removeprefix(_DELETED)),
        type=row.type,
        is_deleted=row.kind.startswith(_DELETED),
    )


def collections_by_id(tx: Transaction, ids: Iterable[int]) -> dict[int, Collection]:
    """Collections by id, tombstones included; at most 5,000."""
    rows = connection(tx).execute(_BY_ID, {"ids": sorted(set(ids))})
    return {row.collection_pk: _identity(row) for row in rows}


class SqlCollectionStore:
    """CollectionStore over the `collections` table."""

    def find(self, tx: Transaction, entity: str, project: str, *, name: str) -> Collection | None:
        """The live collection of this name."""
        if ":" in name:
            return None
        row = (
            connection(tx).execute(_FIND, {"entity": entity, "project": project, "name": name}).one_or_none()
        )
        return None if row is None else _identity(row)

    def by_id(self, tx: Transaction, collection_ids: tuple[int, ...]) -> dict[int, Collection]:
        """Collections by id, tombstones included."""
        return collections_by_id(tx, collection_ids)

    def was_deleted(self, tx: Transaction, entity: str, project: str, *, name: str) -> bool:
        """Whether a tombstone has this name."""
        names = {"entity": entity, "project": project, "first": f"{name}:", "past": f"{name};"}
        return connection(tx).execute(_WAS_DELETED, names).first() is not None

    def create(self, tx: Transaction, new: NewCollection) -> int:
        """Make a collection; its id."""
        row = {
            "project_pk": new.project_pk,
            "name": new.name,
            "kind": new.kind.value,
            "type": new.type,
            "description": new.description,
            "next_index": 0,
            "created_at": new.at,
            "updated_at": new.at,
        }
        return int(connection(tx).execute(_MAKE, row).scalar_one())

    def names(self, tx: Transaction, entity: str, project: str) -> tuple[str, ...]:
        """Names of live collections, newest first."""
        return tuple(connection(tx).execute(_NAMES, {"entity": entity, "project": project}).scalars())

    def records(self, tx: Transaction, collection_ids: tuple[int, ...]) -> tuple[CollectionRecord, ...]:
        """Full records: four statements, however many collections."""
        sql, ids = connection(tx), {"ids": list(collection_ids)}
        counts: dict[int, int] = {row.collection_pk: row.live for row in sql.execute(_COUNTS, ids)}
        held: dict[int, dict[str, str]] = {}
        for row in sql.execute(_ALIASES, ids):
            held.setdefault(row.collection_pk, {})[row.alias] = f"v{row.version_index}"
        tags: dict[int, list[str]] = {}
        for tag in sql.execute(_TAGS, ids):
            tags.setdefault(tag.collection_pk, []).append(tag.tag)
        found: dict[int, CollectionRecord] = {}
        for detail in sql.execute(_DETAILS, ids):
            key = detail.collection_pk
            found[key] = CollectionRecord(
                collection_id=key,
                entity=detail.entity,
                project=detail.project,
                name=shown_name(detail.name),
                kind=CollectionKind(detail.kind.removeprefix(_DELETED)),
                type=detail.type,
                description=detail.description,
                tags=tuple(tags.get(key, ())),
                created_at=detail.created_at,
                updated_at=detail.updated_at,
                version_count=counts.get(key, 0),
                aliases=held.get(key, {}),
            )
        return tuple(found[key] for key in collection_ids)

    def page(self, tx: Transaction, query: CollectionQuery) -> tuple[int, ...]:
        """Ids of live collections by name."""
        statement = (
            select(collections.c.collection_pk)
            .join(projects, projects.c.project_pk == collections.c.project_pk)
            .join(entities, entities.c.entity_pk == projects.c.entity_pk)
            .where(entities.c.name == query.entity, projects.c.name == query.project, _kind(query.kind))
            .order_by(collections.c.name)
            .limit(query.limit)
        )
        if query.type is not None:
            statement = statement.where(collections.c.type == query.type)
        if query.after is not None:
            statement = statement.where(collections.c.name > query.after)
        if query.query:
            wanted = query.query.lower()
            statement = statement.where(
                or_(
                    func.lower(collections.c.name).contains(wanted, autoescape=True),
                    func.lower(collections.c.description).contains(wanted, autoescape=True),
                )
            )
        return tuple(connection(tx).execute(statement).scalars())

    def update(self, tx: Transaction, collection_id: int, change: CollectionChange) -> None:
        """Apply a change."""
        sql = connection(tx)
        values: dict[str, object] = {"updated_at": change.at}
        if change.name is not None:
            values["name"] = change.name
        if change.description is not None:
            values["description"] = change.description
        sql.execute(update(collections).where(collections.c.collection_pk == collection_id).values(values))
        if change.tags is not None:
            sql.execute(sql_delete(collection_tags).where(collection_tags.c.collection_pk == collection_id))
            if change.tags:
                rows = [{"collection_pk": collection_id, "tag": tag} for tag in change.tags]
                sql.execute(insert(collection_tags), rows)

    def mark_deleted(self, tx: Transaction, collection_id: int, *, at: float) -> None:
        """Leave a tombstone and free the name."""
        statement = (
            update(collections)
            .where(collections.c.collection_pk == collection_id, _IS_LIVE)
            .values(
                name=collections.c.name + f":{collection_id}",
                kind=_DELETED + collections.c.kind,
                updated_at=at,
            )
        )
        connection(tx).execute(statement)


def _kind(kind: CollectionKind | None) -> ColumnElement[bool]:
    return _IS_LIVE if kind is None else collections.c.kind == kind.value
