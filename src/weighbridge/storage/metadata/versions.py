"""Artifact versions and their memberships in SQL. No rules: the services decide on aliases and links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import Membership, NewVersion, StoredVersion
from weighbridge.storage.metadata import jsontext
from weighbridge.storage.metadata.collections import collections_by_id
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import collections, memberships, version_tags, versions
from weighbridge.storage.metadata.version_records import SqlVersionRecords

_SAME_PREFIX_MAX: Final = 3

_STORED: Final = select(
    versions.c.version_pk,
    versions.c.collection_pk,
    memberships.c.version_index,
    versions.c.client_id,
    versions.c.digest,
    versions.c.manifest_digest,
    versions.c.producer_pk,
    versions.c.updated_at,
    versions.c.is_deleted,
).join(
    memberships,
    (memberships.c.version_pk == versions.c.version_pk)
    & (memberships.c.collection_pk == versions.c.collection_pk),
)
_BY_ID: Final = _STORED.where(versions.c.version_pk == bindparam("version"))
_BY_CLIENT: Final = _STORED.where(versions.c.client_id == bindparam("client"))

_MEMBERSHIP: Final = select(
    memberships.c.membership_pk,
    memberships.c.collection_pk,
    memberships.c.version_pk,
    memberships.c.version_index,
    versions.c.is_deleted,
).join(versions, versions.c.version_pk == memberships.c.version_pk)
_IN_COLLECTION: Final = memberships.c.collection_pk == bindparam("collection")
_IS_LIVE: Final = versions.c.is_deleted.is_(False)
_OF_VERSION: Final = _MEMBERSHIP.where(_IN_COLLECTION, memberships.c.version_pk == bindparam("version"))
_AT_INDEX: Final = _MEMBERSHIP.where(_IN_COLLECTION, memberships.c.version_index == bindparam("index"))
_NEWEST_FIRST: Final = _MEMBERSHIP.where(_IN_COLLECTION, _IS_LIVE).order_by(
    memberships.c.version_index.desc()
)
_NEWEST: Final = _NEWEST_FIRST.limit(1)
_PAGE: Final = _NEWEST_FIRST.limit(bindparam("limit"))
_PAGE_BEFORE: Final = _PAGE.where(memberships.c.version_index < bindparam("before"))
_PLACES: Final = _MEMBERSHIP.where(memberships.c.version_pk == bindparam("version")).order_by(
    memberships.c.membership_pk
)
# Versions carry their sequence, so this one is answered by the index on (sequence, digest), however long it is.
_SAME_CONTENT: Final = _MEMBERSHIP.where(
    versions.c.collection_pk == bindparam("collection"),
    versions.c.digest == bindparam("digest"),
    memberships.c.collection_pk == versions.c.collection_pk,
    _IS_LIVE,
).limit(1)
# Of several versions with one digest (a portfolio may link equal content twice) the newest stands.
_DIGESTS: Final = (
    select(versions.c.digest, func.max(memberships.c.version_index).label("version_index"))
    .join(versions, versions.c.version_pk == memberships.c.version_pk)
    .where(
        _IN_COLLECTION,
        _IS_LIVE,
        versions.c.digest >= bindparam("first"),
        versions.c.digest < bindparam("past"),
    )
    .group_by(versions.c.digest)
    .order_by(func.max(memberships.c.version_index).desc())
    .limit(_SAME_PREFIX_MAX)
)
_TAKE_INDEX: Final = update(collections).where(collections.c.collection_pk == bindparam("key"))
_NEXT_INDEX: Final = select(collections.c.next_index).where(collections.c.collection_pk == bindparam("key"))
_MAKE_VERSION: Final = insert(versions).returning(versions.c.version_pk)
_MAKE_MEMBERSHIP: Final = insert(memberships).returning(memberships.c.membership_pk)
_TAGS: Final = (
    select(version_tags.c.tag)
    .where(version_tags.c.version_pk == bindparam("version"))
    .order_by(version_tags.c.tag)
)


def membership_of(row: Row[*tuple[Any, ...]]) -> Membership:
    """A row that holds a membership's columns and whether its version is deleted, as a record."""
    return Membership(
        membership_id=row.membership_pk,
        collection_id=row.collection_pk,
        version_id=row.version_pk,
        version_index=row.version_index,
        is_deleted=row.is_deleted,
    )


def _optional(row: Row[*tuple[Any, ...]] | None) -> Membership | None:
    return None if row is None else membership_of(row)


def _memberships(rows: Sequence[Row[*tuple[Any, ...]]]) -> tuple[Membership, ...]:
    return tuple(membership_of(row) for row in rows)


class SqlVersionStore(SqlVersionRecords):
    """VersionStore over `versions` and `memberships`."""

    def encode(self, metadata: dict[str, Any]) -> str:
        """Metadata as text, NaN and infinities kept."""
        return jsontext.dumps(metadata)

    def find(self, tx: Transaction, version_id: int) -> StoredVersion | None:
        """A version by id."""
        return self._stored(tx, connection(tx).execute(_BY_ID, {"version": version_id}).one_or_none())

    def find_by_client_id(self, tx: Transaction, client_id: str) -> StoredVersion | None:
        """The version that a client's id made."""
        return self._stored(tx, connection(tx).execute(_BY_CLIENT, {"client": client_id}).one_or_none())

    def _stored(self, tx: Transaction, row: Row[*tuple[Any, ...]] | None) -> StoredVersion | None:
        if row is None:
            return None
        return StoredVersion(
            version_id=row.version_pk,
            source=collections_by_id(tx, [row.collection_pk])[row.collection_pk],
            version_index=row.version_index,
            client_id=row.client_id,
            digest=row.digest,
            manifest_digest=row.manifest_digest,
            producer_pk=row.producer_pk,
            updated_at=row.updated_at,
            is_deleted=row.is_deleted,
        )

    def create(self, tx: Transaction, new: NewVersion) -> Membership:
        """Make a version with the next number of its sequence."""
        row = {
            "collection_pk": new.collection_id,
            "client_id": new.client_id,
            "digest": new.digest,
            "manifest_digest": new.manifest_digest,
            "description": new.description,
            "metadata": new.metadata,
            "size_bytes": new.size_bytes,
            "file_count": new.file_count,
            "history_step": new.history_step,
            "producer_pk": new.producer_pk,
            "created_at": new.created_at,
            "updated_at": new.created_at,
            "is_deleted": False,
        }
        version_id = connection(tx).execute(_MAKE_VERSION, row).scalar_one()
        return self.add_membership(tx, new.collection_id, version_id, at=new.at)

    def add_membership(
        self, tx: Transaction, collection_id: int, version_id: int, *, at: float
    ) -> Membership:
        """Place a version in a collection with the collection's next number."""
        sql = connection(tx)
        # The update comes first: it is what holds off another writer of the same collection.
        taken = {"next_index": collections.c.next_index + 1, "updated_at": at}
        sql.execute(_TAKE_INDEX.values(taken), {"key": collection_id})
        index = int(sql.execute(_NEXT_INDEX, {"key": collection_id}).scalar_one()) - 1
        row = {
            "collection_pk": collection_id,
            "version_pk": version_id,
            "version_index": index,
            "linked_at": at,
        }
        return Membership(
            membership_id=sql.execute(_MAKE_MEMBERSHIP, row).scalar_one(),
            collection_id=collection_id,
            version_id=version_id,
            version_index=index,
        )

    def remove_membership(self, tx: Transaction, membership_id: int) -> None:
        """Take a version out of a collection."""
        connection(tx).execute(delete(memberships).where(memberships.c.membership_pk == membership_id))

    def membership(self, tx: Transaction, collection_id: int, version_id: int) -> Membership | None:
        """Where a version stands in a collection."""
        keys = {"collection": collection_id, "version": version_id}
        return _optional(connection(tx).execute(_OF_VERSION, keys).one_or_none())

    def membership_at(self, tx: Transaction, collection_id: int, version_index: int) -> Membership | None:
        """What holds a number in a collection."""
        keys = {"collection": collection_id, "index": version_index}
        return _optional(connection(tx).execute(_AT_INDEX, keys).one_or_none())

    def was_numbered(self, tx: Transaction, collection_id: int, version_index: int) -> bool:
        """Whether a number was ever given in a collection."""
        return version_index < int(connection(tx).execute(_NEXT_INDEX, {"key": collection_id}).scalar_one())

    def same_content(self, tx: Transaction, sequence_id: int, digest: str) -> Membership | None:
        """The live version of a sequence with this digest."""
        keys = {"collection": sequence_id, "digest": digest}
        return _optional(connection(tx).execute(_SAME_CONTENT, keys).one_or_none())

    def with_digest(self, tx: Transaction, collection_id: int, prefix: str) -> tuple[Membership, ...]:
        """Live memberships whose digest begins with `prefix`, newest first."""
        # 'g' follows every hexadecimal digit, so this is a range of the index and no pattern.
        keys = {"collection": collection_id, "first": prefix, "past": f"{prefix}g"}
        found = [
            self.membership_at(tx, collection_id, row.version_index)
            for row in connection(tx).execute(_DIGESTS, keys).all()
        ]
        return tuple(membership for membership in found if membership is not None)

    def newest(self, tx: Transaction, collection_id: int) -> Membership | None:
        """The live membership with the highest number."""
        return _optional(connection(tx).execute(_NEWEST, {"collection": collection_id}).one_or_none())

    def memberships_of(self, tx: Transaction, version_id: int) -> tuple[Membership, ...]:
        """Every place of a version, oldest first."""
        return _memberships(connection(tx).execute(_PLACES, {"version": version_id}).all())

    def page(
        self, tx: Transaction, collection_id: int, *, before: int | None, limit: int
    ) -> tuple[Membership, ...]:
        """Live memberships below a number, highest first."""
        keys = {"collection": collection_id, "limit": limit}
        if before is None:
            return _memberships(connection(tx).execute(_PAGE, keys).all())
        return _memberships(connection(tx).execute(_PAGE_BEFORE, keys | {"before": before}).all())

    def describe(
        self, tx: Transaction, version_id: int, *, description: str | None, metadata: str | None, at: float
    ) -> None:
        """Change the description, the metadata or both."""
        values: dict[str, object] = {"updated_at": at}
        if description is not None:
            values["description"] = description
        if metadata is not None:
            values["metadata"] = metadata
        connection(tx).execute(update(versions).where(versions.c.version_pk == version_id).values(values))

    def tags(self, tx: Transaction, version_id: int) -> tuple[str, ...]:
        """Tags by name."""
        return tuple(connection(tx).execute(_TAGS, {"version": version_id}).scalars())

    def set_tags(self, tx: Transaction, version_id: int, tags: tuple[str, ...]) -> None:
        """Replace the tags."""
        sql = connection(tx)
        sql.execute(delete(version_tags).where(version_tags.c.version_pk == version_id))
        if tags:
            sql.execute(insert(version_tags), [{"version_pk": version_id, "tag": tag} for tag in tags])

    def set_producer(
        self, tx: Transaction, version_id: int, *, producer_pk: int, history_step: int | None
    ) -> None:
        """Name the run that made a version that had none."""
        statement = update(versions).where(
            versions.c.version_pk == version_id, versions.c.producer_pk.is_(None)
        )
        connection(tx).execute(statement.values(producer_pk=producer_pk, history_step=history_step))

    def mark_deleted(self, tx: Transaction, version_id: int, *, at: float) -> None:
        """Leave a tombstone."""
        statement = update(versions).where(versions.c.version_pk == version_id)
        connection(tx).execute(statement.values(is_deleted=True, updated_at=at))
