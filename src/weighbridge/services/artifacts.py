"""Versions: logged, resolved, used, changed, deleted. Collections and links are in services/registry.py.

Bytes never pass through here: blobs are in the store before a version that names them is logged, and a
version is committed only when all of them are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from weighbridge.domain.artifact import CollectionKind, VersionRecord
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.names import (
    check_artifact_name,
    check_artifact_type,
    check_entity,
    check_project,
    is_digest,
    is_registry,
)
from weighbridge.errors import (
    AlreadyExists,
    ArtifactNotFound,
    BlobNotFound,
    Conflict,
    InvalidInput,
    InvalidManifest,
    LimitExceeded,
)
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.aliases import Occasion, check_aliases, check_changes, check_reason
from weighbridge.services.lookup import ArtifactStores, check_unicode
from weighbridge.services.ports.blobs import BlobStore
from weighbridge.services.ports.collections import Collection, NewCollection
from weighbridge.services.ports.lineage import Edge
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import Membership, NewVersion, StoredVersion
from weighbridge.services.registry import (
    PAGE_MAX,
    RegistryService,
    check_description,
    check_limit,
    check_tags,
    check_type,
)
from weighbridge.wire.artifacts import (
    DeleteVersion,
    ListVersions,
    LogArtifact,
    ResolveVersion,
    UpdateVersion,
    UseVersion,
    VersionPage,
)

Hasher = Callable[[bytes], str]
"""The digest of bytes as blobs are named: BLAKE3-256, 64 lower-case hexadecimal characters."""

METADATA_MAX_BYTES: Final = 1024 * 1024
CLIENT_ID_MAX: Final = 256
USED_AS_MAX: Final = 512
_SHOWN_MAX: Final = 3


class _Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose every value has been looked at. `manifest_digest` is None until its blob is needed."""

    manifest: Manifest
    manifest_digest: str | None
    metadata: str
    aliases: tuple[str, ...]
    tags: tuple[str, ...]


class ArtifactsService(RegistryService):
    """Everything about artifacts: versions here; collections, links and alias history are inherited."""

    def __init__(self, stores: ArtifactStores, *, blobs: BlobStore, hasher: Hasher) -> None:
        super().__init__(stores)
        self._blobs = blobs
        self._hasher = hasher

    def log(self, actor: Actor, request: LogArtifact) -> VersionRecord:
        """Make a version in its sequence, or find the one with equal content there; the version as stored.

        Repeating a `client_id` changes nothing more. Content that is there already keeps its number,
        description and metadata; tags and aliases are added, `latest` moves to it and the run's edge is
        recorded. Raises InvalidName, InvalidManifest, BlobNotFound, LimitExceeded, RunNotFound, TypeMismatch,
        Conflict (a registry, a portfolio).
        """
        check(actor, Action.WRITE, entity=request.entity, project=request.project)
        draft = self._draft(request)
        with self._stores.unit_of_work.write() as tx:
            earlier = self._stores.versions.find_by_client_id(tx, request.client_id)
            if earlier is not None:
                return self._repeated(tx, request, earlier)
            run_pk = None if request.run is None else self._lookup.run(tx, request.run)
            now = self._stores.clock.now()
            occasion = Occasion(actor=actor.user, at=now, run_pk=run_pk)
            sequence = self._sequence(tx, request, at=now)
            place = self._stores.versions.same_content(tx, sequence.collection_id, request.digest)
            if place is None:
                place = self._create(tx, sequence, request=request, draft=draft, occasion=occasion)
            else:
                self._enrich(tx, place, request=request, draft=draft, run_pk=run_pk)
            if run_pk is not None:
                edge = Edge(run_pk, place.version_id)
                self._connect(tx, edge, sequence, is_input=request.used_by_run, at=now)
            self._moves.set_latest(tx, sequence, membership=place, occasion=occasion)
            self._moves.assign(tx, sequence, place, aliases=draft.aliases, occasion=occasion)
            return self._record(tx, place)

    def resolve(self, actor: Actor, request: ResolveVersion) -> VersionRecord:
        """The version that an alias, `vN`, digest or its beginning stands for, as seen through the collection.

        Raises ProjectNotFound, CollectionNotFound, AliasNotFound, each with the nearest names;
        ArtifactNotFound for a deleted version, saying since when; TypeMismatch; InvalidReference (a prefix
        that fits several).
        """
        check(actor, Action.READ, entity=request.entity, project=request.project)
        with self._stores.unit_of_work.read() as tx:
            found = self._lookup.collection(tx, request.entity, request.project, name=request.collection)
            if request.type is not None:
                check_type(found, request.type)
            return self._record(tx, self._lookup.membership(tx, found, request.version))

    def get(self, actor: Actor, version_id: int) -> VersionRecord:
        """A version by id, as seen in its own sequence. Raises ArtifactNotFound, also for a deleted one."""
        with self._stores.unit_of_work.read() as tx:
            version = self._readable(tx, actor, version_id)
            return self._record(tx, self._home(tx, version))

    def manifest(self, actor: Actor, version_id: int) -> bytes:
        """The encoded manifest of a version. Raises ArtifactNotFound, BlobNotFound, DigestMismatch."""
        with self._stores.unit_of_work.read() as tx:
            version = self._readable(tx, actor, version_id)
        return self._blobs.read(version.manifest_digest)

    def use(self, actor: Actor, request: UseVersion) -> None:
        """Record that a run consumed a version. Repeating it changes nothing.

        The version is named by its id, so an alias that has moved since it was resolved does not matter;
        where the version is no longer in the collection it is recorded as used from its own sequence. Raises
        RunNotFound, ArtifactNotFound.
        """
        check(actor, Action.WRITE, entity=request.run.entity, project=request.run.project)
        if len(request.used_as) > USED_AS_MAX:
            raise InvalidInput(
                f"The role {request.used_as[:40]!r}... has {len(request.used_as):,} characters; "
                f"at most {USED_AS_MAX} are kept.",
                hint="Use a short word such as 'validation'.",
            )
        check_unicode("use", request.used_as, request.entity, request.project, request.collection)
        with self._stores.unit_of_work.write() as tx:
            run_pk = self._lookup.run(tx, request.run)
            version = self._readable(tx, actor, request.version_id)
            collection = self._stores.collections.find(
                tx, request.entity, request.project, name=request.collection
            )
            if collection is None or not self._holds(tx, collection, version.version_id):
                collection = version.source
            self._stores.lineage.add_input(
                tx,
                Edge(run_pk, version.version_id),
                collection_id=collection.collection_id,
                used_as=request.used_as,
                at=self._stores.clock.now(),
            )

    def update(self, actor: Actor, request: UpdateVersion) -> VersionRecord:
        """Change a version's description, metadata, tags, and its aliases in one collection, all or nothing.

        Repeating it changes nothing more. Raises AliasMoved (the guard), Conflict (`latest`),
        ArtifactNotFound, CollectionNotFound, RunNotFound, InvalidName, LimitExceeded.
        """
        check(actor, Action.WRITE, entity=request.entity, project=request.project)
        check_description(request.description)
        metadata = None if request.metadata is None else self._metadata(request.metadata)
        tags = None if request.tags is None else check_tags(request.tags)
        added = check_aliases(request.aliases_added)
        reason = check_reason(request.reason)
        with self._stores.unit_of_work.write() as tx:
            found = self._lookup.collection(tx, request.entity, request.project, name=request.collection)
            version = self._lookup.version(tx, request.version_id)
            place = self._place(tx, found, version)
            held = self._stores.aliases.of_membership(tx, place.membership_id)
            check_changes(request.aliases_added, request.aliases_removed, held=held)
            check_unicode("alias", *request.aliases_removed)
            wanted: dict[str, str | None] = dict.fromkeys(request.aliases_removed)
            wanted.update(dict.fromkeys(added, place.version))
            self._moves.guard(tx, found, expected=request.expected, wanted=wanted)
            run_pk = None if request.run is None else self._lookup.run(tx, request.run)
            now = self._stores.clock.now()
            occasion = Occasion(actor=actor.user, at=now, reason=reason, run_pk=run_pk)
            removed = tuple(dict.fromkeys(request.aliases_removed))
            self._moves.withdraw(tx, found, place, aliases=removed, occasion=occasion)
            self._moves.assign(tx, found, place, aliases=added, occasion=occasion)
            self._describe(tx, version, request=request, metadata=metadata, tags=tags, occasion=occasion)
            return self._record(tx, place)

    def delete(self, actor: Actor, request: DeleteVersion) -> None:
        """Delete a version; its tombstone keeps lineage whole. A no-op where it is deleted already.

        Refused with Conflict while an alias other than `latest` points to it in any collection, unless
        `delete_aliases`. `latest` moves to the newest version that is left. Raises ArtifactNotFound.
        """
        with self._stores.unit_of_work.write() as tx:
            version = self._lookup.any_version(tx, request.version_id)
            check(actor, Action.DELETE, entity=version.source.entity, project=version.source.project)
            if version.is_deleted:
                return
            if not request.delete_aliases:
                self._refuse_aliases(tx, version.version_id, f"Version {version.path!r}")
            occasion = Occasion(actor=actor.user, at=self._stores.clock.now(), reason="version deleted")
            self._delete_version(tx, version.version_id, occasion=occasion)

    def list_versions(self, actor: Actor, request: ListVersions) -> VersionPage:
        """A page of live versions, newest first; `limit` 1 to 1,000. Raises CollectionNotFound."""
        check(actor, Action.READ, entity=request.entity, project=request.project)
        check_limit(request.limit, PAGE_MAX)
        before = None if request.cursor is None else _read_cursor(request.cursor)
        with self._stores.unit_of_work.read() as tx:
            found = self._lookup.collection(tx, request.entity, request.project, name=request.collection)
            places = self._stores.versions.page(
                tx, found.collection_id, before=before, limit=request.limit + 1
            )
            shown = places[: request.limit]
            records = self._stores.versions.records(tx, tuple(place.membership_id for place in shown))
        more = len(places) > request.limit
        return VersionPage(versions=records, next_cursor=str(shown[-1].version_index) if more else None)

    def _draft(self, request: LogArtifact) -> _Draft:
        """Look at the whole request outside the transaction, and store its manifest unless it is known."""
        _check_address(request)
        aliases, tags = check_aliases(request.aliases), check_tags(request.tags)
        check_description(request.description)
        metadata = self._metadata(request.metadata)
        manifest = self._manifest(request)
        with self._stores.unit_of_work.read() as tx:
            sequence = self._stores.collections.find(tx, request.entity, request.project, name=request.name)
            is_known = (
                sequence is not None
                and self._stores.versions.same_content(tx, sequence.collection_id, request.digest) is not None
            )
        return _Draft(
            manifest=manifest,
            manifest_digest=None if is_known else self._store_manifest(manifest, encoded=request.manifest),
            metadata=metadata,
            aliases=aliases,
            tags=tags,
        )

    def _manifest(self, request: LogArtifact) -> Manifest:
        manifest = Manifest.decode(request.manifest)
        actual = self._hasher(manifest.canonical_bytes())
        if actual != request.digest:
            raise InvalidManifest(
                f"The manifest of {request.name!r} has digest {actual}, not {request.digest[:64]!r}.",
                hint="The digest is BLAKE3 of the manifest's canonical bytes; send both from one manifest.",
                details={"expected": request.digest[:64], "actual": actual},
            )
        return manifest

    def _store_manifest(self, manifest: Manifest, *, encoded: bytes) -> str:
        """Store the manifest's blob, once every blob it names is there. Raises BlobNotFound naming files."""
        stored = [entry for entry in manifest.entries if entry.ref is None]
        missing = self._blobs.missing({entry.digest for entry in stored})
        if missing:
            lost = [entry for entry in stored if entry.digest in missing]
            shown = ", ".join(f"{entry.path!r} ({entry.digest[:12]})" for entry in lost[:_SHOWN_MAX])
            raise BlobNotFound(
                f"The store lacks the bytes of {len(lost):,} of {len(stored):,} files: {shown}"
                f"{'' if len(lost) <= _SHOWN_MAX else ', ...'}.",
                hint="Log the artifact again; files are stored before the version that names them.",
                details={"paths": [entry.path for entry in lost[:_SHOWN_MAX]], "count": len(lost)},
            )
        return self._blobs.put_bytes(encoded).digest

    def _metadata(self, metadata: dict[str, object]) -> str:
        text = self._stores.versions.encode(metadata)
        size_bytes = len(text.encode("utf-8"))
        if size_bytes > METADATA_MAX_BYTES:
            raise LimitExceeded(
                f"The metadata has {size_bytes:,} bytes as JSON; at most {METADATA_MAX_BYTES:,} are kept.",
                hint="Put large values into a file of the artifact.",
                details={"size_bytes": size_bytes, "limit_bytes": METADATA_MAX_BYTES},
            )
        return text

    def _repeated(self, tx: Transaction, request: LogArtifact, earlier: StoredVersion) -> VersionRecord:
        asked = f"{request.entity}/{request.project}/{request.name}"
        if earlier.digest != request.digest or earlier.source.path != asked:
            raise AlreadyExists(
                f"Client id {request.client_id[:40]!r} was given to {earlier.path!r} already.",
                hint="Make a new client id for each version.",
                details={"version": earlier.path, "asked": asked},
            )
        return self._record(tx, self._home(tx, earlier))

    def _sequence(self, tx: Transaction, request: LogArtifact, *, at: float) -> Collection:
        entity, project, name = request.entity, request.project, request.name
        found = self._stores.collections.find(tx, entity, project, name=name)
        if found is None:
            new = NewCollection(
                project_pk=self._stores.addresses.ensure_project(tx, entity, project, at=at),
                name=name,
                kind=CollectionKind.SEQUENCE,
                type=request.type,
                at=at,
            )
            self._stores.collections.create(tx, new)
            return self._lookup.collection(tx, entity, project, name=name)
        if found.kind is not CollectionKind.SEQUENCE:
            raise Conflict(
                f"Collection {found.path!r} is filled by links, so no run can log into it.",
                hint="Log under another name, then use link_artifact().",
                details={"collection": found.path, "kind": found.kind.value},
            )
        check_type(found, request.type)
        return found

    def _create(
        self,
        tx: Transaction,
        sequence: Collection,
        *,
        request: LogArtifact,
        draft: _Draft,
        occasion: Occasion,
    ) -> Membership:
        # None: an equal version was there when the request was looked at, and has been deleted since.
        manifest_digest = draft.manifest_digest or self._store_manifest(
            draft.manifest, encoded=request.manifest
        )
        new = NewVersion(
            collection_id=sequence.collection_id,
            client_id=request.client_id,
            digest=request.digest,
            manifest_digest=manifest_digest,
            description=request.description,
            metadata=draft.metadata,
            size_bytes=draft.manifest.size_bytes,
            file_count=draft.manifest.file_count,
            history_step=request.history_step,
            producer_pk=None if request.used_by_run else occasion.run_pk,
            created_at=request.logged_at or occasion.at,
            at=occasion.at,
        )
        place = self._stores.versions.create(tx, new)
        if draft.tags:
            self._stores.versions.set_tags(tx, place.version_id, draft.tags)
        details: dict[str, object] = {
            "digest": request.digest,
            "type": sequence.type,
            "size_bytes": draft.manifest.size_bytes,
            "run": None if request.run is None else request.run.path,
        }
        subject = f"{sequence.path}:{place.version}"
        self._audit(tx, occasion, "version.created", subject=subject, details=details)
        return place

    def _enrich(
        self,
        tx: Transaction,
        place: Membership,
        *,
        request: LogArtifact,
        draft: _Draft,
        run_pk: int | None,
    ) -> None:
        """What a version gains when equal content is logged again: tags, and a producer where it had none."""
        versions = self._stores.versions
        if draft.tags:
            known = versions.tags(tx, place.version_id)
            versions.set_tags(tx, place.version_id, check_tags((*known, *draft.tags)))
        if run_pk is not None and not request.used_by_run:
            step = request.history_step
            versions.set_producer(tx, place.version_id, producer_pk=run_pk, history_step=step)

    def _connect(
        self, tx: Transaction, edge: Edge, sequence: Collection, *, is_input: bool, at: float
    ) -> None:
        lineage = self._stores.lineage
        if is_input:
            lineage.add_input(tx, edge, collection_id=sequence.collection_id, used_as="", at=at)
        else:
            lineage.add_output(tx, edge, at=at)

    def _describe(
        self,
        tx: Transaction,
        version: StoredVersion,
        *,
        request: UpdateVersion,
        metadata: str | None,
        tags: tuple[str, ...] | None,
        occasion: Occasion,
    ) -> None:
        changed = [
            name
            for name, value in (
                ("description", request.description),
                ("metadata", metadata),
                ("tags", tags),
            )
            if value is not None
        ]
        if not changed:
            return
        self._stores.versions.describe(
            tx, version.version_id, description=request.description, metadata=metadata, at=occasion.at
        )
        if tags is not None:
            self._stores.versions.set_tags(tx, version.version_id, tags)
        details: dict[str, object] = {"changed": changed}
        self._audit(tx, occasion, "version.updated", subject=version.path, details=details)

    def _readable(self, tx: Transaction, actor: Actor, version_id: int) -> StoredVersion:
        found = self._lookup.any_version(tx, version_id)
        check(actor, Action.READ, entity=found.source.entity, project=found.source.project)
        return self._lookup.version(tx, version_id) if found.is_deleted else found

    def _holds(self, tx: Transaction, collection: Collection, version_id: int) -> bool:
        return self._stores.versions.membership(tx, collection.collection_id, version_id) is not None

    def _home(self, tx: Transaction, version: StoredVersion) -> Membership:
        return self._place(tx, version.source, version)

    def _place(self, tx: Transaction, collection: Collection, version: StoredVersion) -> Membership:
        place = self._stores.versions.membership(tx, collection.collection_id, version.version_id)
        if place is None:
            raise ArtifactNotFound(
                f"Version {version.path!r} is not in collection {collection.path!r}.",
                hint="It may have been unlinked; link it again, or name another collection.",
                details={"version": version.path, "collection": collection.path},
            )
        return place


def _check_address(request: LogArtifact) -> None:
    check_entity(request.entity)
    check_project(request.project)
    check_artifact_name(request.name)
    check_artifact_type(request.type)
    if is_registry(request.project):
        raise Conflict(
            f"{request.entity}/{request.project} is a registry: versions are linked into it, not logged.",
            hint="Log the artifact into the run's project, then use link_artifact().",
            details={"project": request.project, "name": request.name},
        )
    if not 1 <= len(request.client_id) <= CLIENT_ID_MAX:
        raise InvalidInput(
            f"A client id has {len(request.client_id):,} characters; 1 to {CLIENT_ID_MAX} are allowed.",
            hint="Use random text of 32 characters.",
        )
    check_unicode("client id", request.client_id)
    if not is_digest(request.digest):
        raise InvalidManifest(
            f"Digest {request.digest[:80]!r} of {request.name!r} is not 64 hexadecimal characters.",
            hint="Send BLAKE3 of the manifest's canonical bytes.",
        )


def _read_cursor(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise InvalidInput(
            f"Cursor {cursor[:80]!r} is not one this list gave.", hint="Begin again without a cursor."
        )
    return int(cursor)
