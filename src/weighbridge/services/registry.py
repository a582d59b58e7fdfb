"""Collections and the links that place versions in them: made, listed, renamed, deleted.

A registry is nothing but a project whose collections are portfolios, so there is no second set of rules for
it. Aliases move in services/aliases.py; versions are made and changed in services/artifacts.py.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from weighbridge.domain.artifact import CollectionKind, CollectionRecord, VersionRecord
from weighbridge.domain.names import (
    LATEST,
    NOTES_MAX,
    TAGS_MAX,
    check_artifact_name,
    check_collection,
    check_entity,
    check_project,
    check_tag,
    is_registry,
)
from weighbridge.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LimitExceeded,
    TypeMismatch,
)
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.aliases import AliasMoves, Occasion, check_aliases, check_reason
from weighbridge.services.lookup import ArtifactStores, Lookup, check_unicode
from weighbridge.services.ports.audit import AuditEvent
from weighbridge.services.ports.collections import (
    Collection,
    CollectionChange,
    CollectionQuery,
    NewCollection,
)
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import Membership, StoredVersion
from weighbridge.wire.artifacts import (
    AliasEvents,
    AliasHistory,
    CollectionPage,
    LinkVersion,
    ListCollections,
    UnlinkVersion,
    UpdateCollection,
)

PAGE_MAX: Final = 1_000
EVENTS_MAX: Final = 10_000
DESCRIPTION_MAX_BYTES: Final = NOTES_MAX
_QUERY_MAX: Final = 256
_SHOWN_MAX: Final = 5


class RegistryService:
    """Collections, links and the history of aliases."""

    def __init__(self, stores: ArtifactStores) -> None:
        self._stores = stores
        self._lookup = Lookup(stores)
        self._moves = AliasMoves(stores)

    def link(self, actor: Actor, request: LinkVersion) -> VersionRecord:
        """Place a version in a portfolio, made if missing; the version as seen there.

        A new link gets the next number there and `latest`; linking again keeps both and only adds the
        aliases. A registry is made if missing, another project is not. Raises ProjectNotFound,
        ArtifactNotFound, RunNotFound, TypeMismatch, Conflict (the collection is a sequence), InvalidName.
        """
        check(actor, Action.WRITE, entity=request.entity, project=request.project)
        aliases = check_aliases(request.aliases)
        check_unicode("project", request.entity, request.project)
        check_collection(request.collection)
        reason = check_reason(request.reason)
        with self._stores.unit_of_work.write() as tx:
            version = self._lookup.version(tx, request.version_id)
            now = self._stores.clock.now()
            run_pk = None if request.run is None else self._lookup.run(tx, request.run)
            occasion = Occasion(actor=actor.user, at=now, reason=reason, run_pk=run_pk)
            portfolio = self._portfolio(tx, request, version=version, at=now)
            known = self._stores.versions.membership(tx, portfolio.collection_id, version.version_id)
            place = known or self._stores.versions.add_membership(
                tx, portfolio.collection_id, version.version_id, at=now
            )
            if known is None:
                self._moves.set_latest(tx, portfolio, membership=place, occasion=occasion)
                details: dict[str, object] = {
                    "source": version.path,
                    "digest": version.digest,
                    "aliases": list(aliases),
                    "reason": reason,
                }
                subject = f"{portfolio.path}:{place.version}"
                self._audit(tx, occasion, "version.linked", subject=subject, details=details)
            self._moves.assign(tx, portfolio, place, aliases=aliases, occasion=occasion)
            return self._record(tx, place)

    def unlink(self, actor: Actor, request: UnlinkVersion) -> None:
        """Take a version out of a portfolio; its aliases there go, its number is never given again.

        No-op where it is not in it. Raises CollectionNotFound, ArtifactNotFound, Conflict (its own sequence).
        """
        check(actor, Action.WRITE, entity=request.entity, project=request.project)
        with self._stores.unit_of_work.write() as tx:
            collection = self._lookup.collection(tx, request.entity, request.project, name=request.collection)
            version = self._lookup.any_version(tx, request.version_id)
            if version.source.collection_id == collection.collection_id:
                raise Conflict(
                    f"Version {version.path!r} cannot be unlinked from the sequence it was logged into.",
                    hint="Delete the version instead.",
                    details={"version": version.path},
                )
            place = self._stores.versions.membership(tx, collection.collection_id, version.version_id)
            if place is not None:
                occasion = Occasion(actor=actor.user, at=self._stores.clock.now(), reason="unlinked")
                self._unlink(tx, collection, place, occasion=occasion)

    def get_collection(self, actor: Actor, entity: str, project: str, *, name: str) -> CollectionRecord:
        """A collection with its counts and aliases. Raises ProjectNotFound, CollectionNotFound."""
        check(actor, Action.READ, entity=entity, project=project)
        with self._stores.unit_of_work.read() as tx:
            found = self._lookup.collection(tx, entity, project, name=name)
            return self._stores.collections.records(tx, (found.collection_id,))[0]

    def list_collections(self, actor: Actor, request: ListCollections) -> CollectionPage:
        """A page of collections by name; `limit` 1 to 1,000. Raises ProjectNotFound, InvalidInput."""
        check(actor, Action.READ, entity=request.entity, project=request.project)
        check_limit(request.limit, PAGE_MAX)
        if len(request.query) > _QUERY_MAX:
            raise InvalidInput(
                f"The search text has {len(request.query):,} characters; at most {_QUERY_MAX} are allowed.",
                hint="Search for a shorter part of the name.",
            )
        check_unicode("search text", request.query, request.type or "")
        query = CollectionQuery(
            entity=request.entity,
            project=request.project,
            type=request.type,
            kind=request.kind,
            query=request.query,
            after=None if request.cursor is None else _read_cursor(request.cursor),
            limit=request.limit + 1,
        )
        with self._stores.unit_of_work.read() as tx:
            self._lookup.project(tx, request.entity, request.project)
            keys = self._stores.collections.page(tx, query)
            records = self._stores.collections.records(tx, keys[: request.limit])
        more = len(keys) > request.limit
        return CollectionPage(
            collections=records, next_cursor=_write_cursor(records[-1].name) if more else None
        )

    def update_collection(self, actor: Actor, request: UpdateCollection) -> CollectionRecord:
        """Rename, describe or tag a collection; the collection as it is now.

        Raises CollectionNotFound, AlreadyExists, InvalidName, LimitExceeded.
        """
        check(actor, Action.WRITE, entity=request.entity, project=request.project)
        check_description(request.description)
        tags = None if request.tags is None else check_tags(request.tags)
        with self._stores.unit_of_work.write() as tx:
            found = self._lookup.collection(tx, request.entity, request.project, name=request.collection)
            name = self._new_name(tx, found, request.name)
            now = self._stores.clock.now()
            change = CollectionChange(name=name, description=request.description, tags=tags, at=now)
            self._stores.collections.update(tx, found.collection_id, change)
            details: dict[str, object] = {}
            if name is not None:
                details["name"] = name
            if request.description is not None:
                details["description"] = True
            if tags is not None:
                details["tags"] = list(tags)
            occasion = Occasion(actor=actor.user, at=now)
            self._audit(tx, occasion, "collection.updated", subject=found.path, details=details)
            return self._stores.collections.records(tx, (found.collection_id,))[0]

    def delete_collection(self, actor: Actor, entity: str, project: str, *, name: str) -> None:
        """Delete a collection that no alias but `latest` holds on to. A no-op where it was deleted already.

        A portfolio's versions are unlinked; a sequence's are deleted, with tombstones, wherever they are
        linked. Raises CollectionNotFound, Conflict naming the aliases.
        """
        check(actor, Action.DELETE, entity=entity, project=project)
        with self._stores.unit_of_work.write() as tx:
            check_unicode("collection", entity, project, name)
            collections = self._stores.collections
            found = collections.find(tx, entity, project, name=name)
            if found is None and collections.was_deleted(tx, entity, project, name=name):
                return
            found = found or self._lookup.collection(tx, entity, project, name=name)
            occasion = Occasion(actor=actor.user, at=self._stores.clock.now(), reason="collection deleted")
            places = self._members(tx, found)
            if found.kind is CollectionKind.SEQUENCE:
                for place in places:
                    self._refuse_aliases(tx, place.version_id, f"Collection {found.path!r}")
                for place in places:
                    self._delete_version(tx, place.version_id, occasion=occasion)
            else:
                held = [alias for alias in self._stores.aliases.of_collection(tx, found.collection_id)]
                _refuse(f"Collection {found.path!r}", [each for each in held if each != LATEST])
                for place in places:
                    self._unlink(tx, found, place, occasion=occasion)
            collections.mark_deleted(tx, found.collection_id, at=occasion.at)
            details: dict[str, object] = {"kind": found.kind.value, "versions": len(places)}
            self._audit(tx, occasion, "collection.deleted", subject=found.path, details=details)

    def alias_history(self, actor: Actor, request: AliasHistory) -> AliasEvents:
        """The newest `limit` (1 to 10,000) moves up to `until`, oldest first. Raises CollectionNotFound."""
        check(actor, Action.READ, entity=request.entity, project=request.project)
        check_limit(request.limit, EVENTS_MAX)
        check_unicode("alias", request.alias or "")
        with self._stores.unit_of_work.read() as tx:
            found = self._lookup.collection(tx, request.entity, request.project, name=request.collection)
            events = self._stores.aliases.events(
                tx, found.collection_id, alias=request.alias, until=request.until, limit=request.limit
            )
        return AliasEvents(events=events)

    def _portfolio(
        self, tx: Transaction, request: LinkVersion, *, version: StoredVersion, at: float
    ) -> Collection:
        entity, project, name = request.entity, request.project, request.collection
        found = self._stores.collections.find(tx, entity, project, name=name)
        if found is not None:
            if found.kind is not CollectionKind.PORTFOLIO:
                raise Conflict(
                    f"Collection {found.path!r} is filled by runs, so nothing can be linked into it.",
                    hint="Link into a collection of another name, such as one in a registry.",
                    details={"collection": found.path, "kind": found.kind.value},
                )
            check_type(found, version.source.type)
            return found
        if is_registry(project):
            check_entity(entity)
            project_pk = self._stores.addresses.ensure_project(tx, entity, check_project(project), at=at)
        else:
            project_pk = self._lookup.project(tx, entity, project)
        new = NewCollection(
            project_pk=project_pk,
            name=name,
            kind=CollectionKind.PORTFOLIO,
            type=version.source.type,
            at=at,
        )
        self._stores.collections.create(tx, new)
        return self._lookup.collection(tx, entity, project, name=name)

    def _new_name(self, tx: Transaction, found: Collection, name: str | None) -> str | None:
        if name is None or name == found.name:
            return None
        if found.kind is CollectionKind.SEQUENCE:
            check_artifact_name(name)
        else:
            check_collection(name)
        if self._stores.collections.find(tx, found.entity, found.project, name=name) is not None:
            raise AlreadyExists(
                f"Collection {found.name!r} cannot be renamed: {found.project!r} has a {name!r} already.",
                hint="Choose another name, or delete the other collection first.",
                details={"collection": found.path, "name": name},
            )
        return name

    def _members(self, tx: Transaction, collection: Collection) -> tuple[Membership, ...]:
        """Every live membership, lowest number first, so that `latest` moves once when all of them go."""
        found: list[Membership] = []
        before: int | None = None
        while page := self._stores.versions.page(tx, collection.collection_id, before=before, limit=PAGE_MAX):
            found.extend(page)
            before = page[-1].version_index
        return tuple(reversed(found))

    def _unlink(
        self, tx: Transaction, collection: Collection, place: Membership, *, occasion: Occasion
    ) -> None:
        self._moves.release(tx, collection, membership=place, occasion=occasion)
        self._stores.versions.remove_membership(tx, place.membership_id)
        details: dict[str, object] = {"version_id": place.version_id}
        subject = f"{collection.path}:{place.version}"
        self._audit(tx, occasion, "version.unlinked", subject=subject, details=details)

    def _refuse_aliases(self, tx: Transaction, version_id: int, subject: str) -> None:
        """Raise Conflict where a version carries an alias other than `latest`, in whatever collection."""
        places = self._stores.versions.memberships_of(tx, version_id)
        homes = self._stores.collections.by_id(tx, tuple(place.collection_id for place in places))
        held = [
            f"{homes[place.collection_id].path}:{alias}"
            for place in places
            for alias in self._stores.aliases.of_membership(tx, place.membership_id)
            if alias != LATEST
        ]
        _refuse(subject, held)

    def _delete_version(self, tx: Transaction, version_id: int, *, occasion: Occasion) -> None:
        """Leave a tombstone; every alias goes, `latest` to what is left."""
        version = self._lookup.any_version(tx, version_id)
        places = self._stores.versions.memberships_of(tx, version_id)
        homes = self._stores.collections.by_id(tx, tuple(place.collection_id for place in places))
        self._stores.versions.mark_deleted(tx, version_id, at=occasion.at)
        for place in places:
            home = homes[place.collection_id]
            self._moves.release(tx, home, membership=place, occasion=occasion)
        details: dict[str, object] = {"digest": version.digest, "reason": occasion.reason}
        self._audit(tx, occasion, "version.deleted", subject=version.path, details=details)

    def _record(self, tx: Transaction, place: Membership) -> VersionRecord:
        return self._stores.versions.records(tx, (place.membership_id,))[0]

    def _audit(
        self,
        tx: Transaction,
        occasion: Occasion,
        action: str,
        *,
        subject: str,
        details: dict[str, object],
    ) -> None:
        event = AuditEvent(
            at=occasion.at, actor=occasion.actor, action=action, subject=subject, details=details
        )
        self._stores.audit.add(tx, event)


def check_type(collection: Collection, type_name: str) -> None:
    """Raise TypeMismatch, naming both types, unless the collection holds this one."""
    if collection.type != type_name:
        raise TypeMismatch(
            f"Collection {collection.path!r} holds artifacts of type {collection.type!r}, not {type_name!r}.",
            hint=f"Use type {collection.type!r}, or another collection.",
            details={"collection": collection.path, "expected": collection.type, "actual": type_name},
        )


def check_description(text: str | None) -> None:
    """Raise LimitExceeded where a description is longer than 64 KiB."""
    size_bytes = 0 if text is None else len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > DESCRIPTION_MAX_BYTES:
        raise LimitExceeded(
            f"A description has {size_bytes:,} bytes; at most {DESCRIPTION_MAX_BYTES:,} are kept.",
            hint="Put the long text into a file of the artifact.",
            details={"size_bytes": size_bytes, "limit_bytes": DESCRIPTION_MAX_BYTES},
        )
    if text is not None:
        check_unicode("description", text)


def check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags without repeats, by name. Raises InvalidName, LimitExceeded beyond 64."""
    given = tuple(sorted({check_tag(tag) for tag in tags}))
    if len(given) > TAGS_MAX:
        raise LimitExceeded(
            f"{len(given)} tags were given; at most {TAGS_MAX} are kept.",
            hint="Put what describes one version into its metadata.",
            details={"count": len(given), "limit": TAGS_MAX},
        )
    return given


def check_limit(limit: int, most: int) -> None:
    """Raise InvalidInput unless `limit` is 1 to `most`."""
    if not 1 <= limit <= most:
        raise InvalidInput(
            f"A page of {limit:,} was asked for; 1 to {most:,} are allowed.",
            hint="Follow next_cursor to read on.",
            details={"limit": limit, "most": most},
        )


def _refuse(subject: str, held: list[str]) -> None:
    if held:
        more = "" if len(held) <= _SHOWN_MAX else f" and {len(held) - _SHOWN_MAX} more"
        raise Conflict(
            f"{subject} cannot be deleted while aliases point to it: {', '.join(held[:_SHOWN_MAX])}{more}.",
            hint="Move or remove the aliases first; a version can also be deleted with delete_aliases=True.",
            details={"aliases": held[:_SHOWN_MAX], "count": len(held)},
        )


def _write_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8")).decode("ascii")


def _read_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError) as error:
        raise InvalidInput(
            f"Cursor {cursor[:80]!r} is not one this list gave.", hint="Begin again without a cursor."
        ) from error
