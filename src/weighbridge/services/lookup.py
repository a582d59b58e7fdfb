"""Finds projects, runs, collections and versions by address, or says what is missing. Changes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from weighbridge.domain.names import is_digest, version_index
from weighbridge.domain.run import RunRef
from weighbridge.errors import (
    AliasNotFound,
    ArtifactNotFound,
    CollectionNotFound,
    InvalidName,
    InvalidReference,
)
from weighbridge.services.missing import deleted_run, did_you_mean, nearest, no_project, no_run
from weighbridge.services.ports.addresses import AddressBook, FoundRun
from weighbridge.services.ports.aliases import AliasStore
from weighbridge.services.ports.audit import AuditStore
from weighbridge.services.ports.clock import Clock
from weighbridge.services.ports.collections import Collection, CollectionStore
from weighbridge.services.ports.lineage import LineageStore
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.unit_of_work import UnitOfWork
from weighbridge.services.ports.versions import Membership, StoredVersion, VersionStore

DIGEST_PREFIX_MIN: Final = 8
"""Shortest beginning of a digest that is taken for one."""

_ALIASES_SHOWN: Final = 10
_NAME_SHOWN: Final = 80
_DIGEST_PREFIX: Final = re.compile(rf"[0-9a-f]{{{DIGEST_PREFIX_MIN},63}}")


@dataclass(frozen=True, kw_only=True)
class ArtifactStores:
    """The stores behind everything about artifacts, and what opens transactions over them."""

    unit_of_work: UnitOfWork
    clock: Clock
    audit: AuditStore
    addresses: AddressBook
    collections: CollectionStore
    versions: VersionStore
    aliases: AliasStore
    lineage: LineageStore


def moment(at: float) -> str:
    """A time as messages show it: ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def check_unicode(kind: str, *texts: str) -> None:
    """Raise InvalidName where a text holds half a character (a lone surrogate), which no store can keep."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidName(
                f"The {kind} {text[:_NAME_SHOWN]!a} is not valid Unicode.",
                hint="Remove the lone surrogates.",
                details={"kind": kind},
            ) from error


class Lookup:
    """Finds by address inside a transaction."""

    def __init__(self, stores: ArtifactStores) -> None:
        self._stores = stores

    def run(self, tx: Transaction, run: RunRef) -> int:
        """The key of a run that is not deleted. Raises ProjectNotFound, RunNotFound."""
        found = self.any_run(tx, run)
        if found.is_deleted:
            raise deleted_run(run)
        return found.run_pk

    def any_run(self, tx: Transaction, run: RunRef) -> FoundRun:
        """A run, tombstones included. Raises ProjectNotFound, RunNotFound."""
        check_unicode("run", run.entity, run.project, run.run_id)
        found = self._stores.addresses.find_run(tx, run)
        if found is None:
            raise no_run(tx, self._stores.addresses, run)
        return found

    def project(self, tx: Transaction, entity: str, project: str) -> int:
        """The key of a project. Raises ProjectNotFound with the nearest names."""
        check_unicode("project", entity, project)
        found = self._stores.addresses.find_project(tx, entity, project)
        if found is None:
            raise no_project(tx, self._stores.addresses, entity=entity, project=project)
        return found

    def collection(self, tx: Transaction, entity: str, project: str, *, name: str) -> Collection:
        """A live collection. Raises ProjectNotFound, CollectionNotFound with the nearest names."""
        check_unicode("collection", entity, project, name)
        found = self._stores.collections.find(tx, entity, project, name=name)
        if found is not None:
            return found
        self.project(tx, entity, project)
        was_deleted = self._stores.collections.was_deleted(tx, entity, project, name=name)
        problem = "was deleted" if was_deleted else "does not exist"
        names = self._stores.collections.names(tx, entity, project)
        near = nearest(name, names)
        raise CollectionNotFound(
            f"Collection {name[:_NAME_SHOWN]!r} in {entity}/{project} {problem}.",
            hint=did_you_mean(near) or _list("The project holds", names, none="The project is empty."),
            details={"collection": name[:_NAME_SHOWN], "project": f"{entity}/{project}", "nearest": near},
        )

    def version(self, tx: Transaction, version_id: int) -> StoredVersion:
        """A version that is not deleted. Raises ArtifactNotFound, saying since when."""
        found = self.any_version(tx, version_id)
        if found.is_deleted:
            raise deleted_version(found.path, found.updated_at)
        return found

    def any_version(self, tx: Transaction, version_id: int) -> StoredVersion:
        """A version, tombstones included. Raises ArtifactNotFound."""
        found = self._stores.versions.find(tx, version_id)
        if found is None:
            raise ArtifactNotFound(
                f"There is no artifact version with id {version_id}.",
                hint="Resolve it by its path, such as entity/project/name:alias.",
                details={"version_id": version_id},
            )
        return found

    def membership(self, tx: Transaction, collection: Collection, version: str) -> Membership:
        """What an alias, `vN`, digest, or digest prefix (8 characters or more) stands for in a collection.

        An alias goes before a prefix that reads the same. Raises AliasNotFound with the aliases there are,
        InvalidReference where a prefix fits several versions, ArtifactNotFound where the version is deleted.
        """
        check_unicode("version", version)
        index = version_index(version)
        if index is not None:
            found = self._stores.versions.membership_at(tx, collection.collection_id, index)
        else:
            found = self._stores.aliases.holder(tx, collection.collection_id, version)
            if found is None and (is_digest(version) or _DIGEST_PREFIX.fullmatch(version)):
                found = self._by_digest(tx, collection, version)
        if found is None:
            raise self._missing(tx, collection, version=version, index=index)
        if found.is_deleted:
            stored = self.any_version(tx, found.version_id)
            raise deleted_version(f"{collection.path}:{found.version}", stored.updated_at)
        return found

    def _by_digest(self, tx: Transaction, collection: Collection, digest: str) -> Membership | None:
        found = self._stores.versions.with_digest(tx, collection.collection_id, digest)
        if len(found) > 1:
            shown = ", ".join(each.version for each in found)
            raise InvalidReference(
                f"Digest {digest!r} begins the digests of several versions of {collection.path!r}: {shown}.",
                hint="Write more of the digest, or name the version.",
                details={"collection": collection.path, "digest": digest},
            )
        return found[0] if found else None

    def _missing(
        self, tx: Transaction, collection: Collection, *, version: str, index: int | None
    ) -> AliasNotFound:
        held = self._stores.aliases.of_collection(tx, collection.collection_id)
        newest = self._stores.versions.newest(tx, collection.collection_id)
        near = nearest(version, held)
        details: dict[str, object] = {
            "collection": collection.path,
            "nearest": near,
            "version": version[:_NAME_SHOWN],
            "aliases": list(held)[:_ALIASES_SHOWN],
        }
        if newest is None:
            return AliasNotFound(
                f"Collection {collection.path!r} holds no version, so there is no {version[:_NAME_SHOWN]!r}.",
                hint="Log or link a version first.",
                details=details,
            )
        shown = _list("It has the aliases", [f"{alias} (v{at})" for alias, at in held.items()], none="")
        hint = f"{did_you_mean(near)} {shown} The newest version is {newest.version}.".strip()
        if index is not None and self._stores.versions.was_numbered(tx, collection.collection_id, index):
            problem = f"{version} was taken out of {collection.path!r}."
        elif index is not None:
            problem = f"Collection {collection.path!r} has no version {version}."
        else:
            problem = f"Collection {collection.path!r} has no alias {version[:_NAME_SHOWN]!r}."
        return AliasNotFound(problem, hint=hint, details=details)


def deleted_version(path: str, at: float) -> ArtifactNotFound:
    """The error for a version of which only the tombstone is left."""
    return ArtifactNotFound(
        f"Version {path!r} was deleted at {moment(at)}.",
        hint="Its lineage and evaluations are still there; its files are not. Choose another version.",
        details={"version": path, "is_deleted": True, "deleted_at": at},
    )


def _list(intro: str, names: list[str] | tuple[str, ...], *, none: str) -> str:
    if not names:
        return none
    more = "" if len(names) <= _ALIASES_SHOWN else f" and {len(names) - _ALIASES_SHOWN} more"
    return f"{intro} {', '.join(names[:_ALIASES_SHOWN])}{more}."
