"""What a run does with artifacts: log, use, link. Part of `Run`; it must not know how the spool is shipped.

Online the store is asked at once. Where it cannot answer now (offline, locked, full), the intent goes to
the spool, which whoever ships it carries out later (docs/design/0008-sdk-artifacts.md). In a disabled run
everything stays in memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from weighbridge.errors import InvalidReference, RunNotFound, TypeMismatch, UsageError, WeighbridgeError
from weighbridge.sdk.notices import warn_once

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.manifest import Manifest
    from weighbridge.domain.run import RunRef
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.client import Client
    from weighbridge.sdk.public.reader import Reader
    from weighbridge.wire.artifacts import LogArtifact
    from weighbridge.wire.spool_items import ArtifactItem

T = TypeVar("T")
UNSPECIFIED: Final = "unspecified"
_HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")


class RunArtifacts:
    """Mixin of Run; the annotated members are Run's."""

    if TYPE_CHECKING:
        _client: Client

        @property
        def ref(self) -> RunRef: ...
        @property
        def is_online(self) -> bool: ...
        @property
        def is_disabled(self) -> bool: ...
        @property
        def logged_step(self) -> int | None: ...
        def _record(self, item: ArtifactItem) -> None: ...
        def _check_open(self, action: str) -> None: ...

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | str | None = None,
        tags: Sequence[str] | str | None = None,
    ) -> Artifact:
        """Store an artifact as an output of this run; return it, now a version.

        Args:
            artifact_or_path: an Artifact, or a file, a folder or a URI to make one of.
            name: default for a path: `run-<id>-<its name>`.
            type: default for a path: `unspecified`.
            aliases: pointers moved to this version; `latest` always is.
            tags: free labels.

        Content equal to a version of that name gives that version. Offline it is stored by `weighbridge
        sync`.

        Raises:
            SourceChanged: a file changed or vanished since it was added; it is named.
            TypeMismatch: the name holds another type.
            InvalidName, InvalidManifest, RunFinished.
        """
        self._check_open("log_artifact")
        artifact = self._as_artifact(artifact_or_path, name, type or UNSPECIFIED)
        return self._store(artifact, aliases, tags, used_by_run=False)

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,
        aliases: Sequence[str] | str | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Fetch a version's record and note it as an input of this run.

        Args:
            artifact_or_name: `entity/project/name:alias` (`vN`, digest; `latest` if left out), or an
                Artifact; a draft is stored first, as an input.
            type: what the version must be.
            aliases: pointers for a draft that is stored.
            use_as: the role it plays here.

        Raises:
            ProjectNotFound, CollectionNotFound, AliasNotFound: with the nearest names.
            TypeMismatch: it is something else.
            UsageError: a name in an offline run, which cannot ask the store.
        """
        from weighbridge.wire.spool_items import UseArtifactItem

        self._check_open("use_artifact")
        artifact = (
            self._fetch(artifact_or_name, type) if isinstance(artifact_or_name, str) else artifact_or_name
        )
        if type is not None and artifact.type != type:
            raise TypeMismatch(
                f"{artifact.collection_name} holds {artifact.type!r}, not {type[:80]!r}.",
                hint=f"Use type={artifact.type!r}.",
            )
        if self.is_disabled:
            return artifact
        if artifact.is_draft():
            return self._store(artifact, aliases, None, used_by_run=True)
        used_as = use_as or artifact.use_as
        place, version_id, pending = artifact.address()
        item = UseArtifactItem(place=place, version_id=version_id, pending=pending, used_as=used_as)
        self._ask(
            lambda: artifact.record_use(self.ref, used_as=used_as),
            item,
            "use_artifact",
            can_ask=version_id is not None,
        )
        return artifact

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: Sequence[str] | str | None = None
    ) -> Artifact:
        """Place a version in a registry collection, made if missing; return it as seen there.

        Args:
            artifact: a version, or a draft, which is stored first.
            target_path: `model-registry/Digits`, `entity/model-registry/Name`, `wandb-registry-model/Name`.
            aliases: pointers moved to it in that collection.

        Raises TypeMismatch where the collection holds another type, InvalidReference, InvalidName.
        """
        from weighbridge.sdk.links import check_aliases, parse_target
        from weighbridge.wire.artifacts import LinkVersion
        from weighbridge.wire.spool_items import LinkArtifactItem

        self._check_open("link_artifact")
        chosen = check_aliases(aliases)
        place = parse_target(target_path, entity=self.ref.entity, organization=self._organization)
        if artifact.is_draft():
            self._store(artifact, None, None, used_by_run=False)
        if self.is_disabled:
            return artifact
        _, version_id, pending = artifact.address()
        item = LinkArtifactItem(
            entity=place.entity,
            project=place.project,
            collection=place.collection,
            aliases=chosen,
            version_id=version_id,
            pending=pending,
        )
        request = LinkVersion(
            version_id=version_id or 0,
            entity=place.entity,
            project=place.project,
            collection=place.collection,
            aliases=chosen,
            run=self.ref,
        )
        can_ask = version_id is not None
        linked = self._ask(
            lambda: self._client.transport.artifacts.link(request), item, "link_artifact", can_ask=can_ask
        )
        return artifact if linked is None else self._reader.artifact(linked)

    def log_model(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        aliases: Sequence[str] | str | None = None,
    ) -> Artifact:
        """Store a file or folder as an artifact of type `model`."""
        return self.log_artifact(path, name, "model", aliases)

    def use_model(self, name: str) -> str:
        """Fetch a model by its path; return the file if it is one, else the folder. Raises TypeMismatch."""
        artifact = self.use_artifact(name)
        if "model" not in artifact.type:
            raise TypeMismatch(
                f"{name[:200]!r} is of type {artifact.type!r}, not a model.", hint="Use use_artifact()."
            )
        folder = artifact.download()
        if self.is_disabled or artifact.file_count != 1:
            return folder
        return str(Path(folder, artifact.manifest.entries[0].path))

    def link_model(
        self,
        path: str | os.PathLike[str],
        registered_model_name: str,
        name: str | None = None,
        aliases: Sequence[str] | str | None = None,
    ) -> Artifact:
        """Store a file or folder as a model and link it to `model-registry/<registered_model_name>`."""
        if "/" in registered_model_name or ":" in registered_model_name:
            raise InvalidReference(
                f"Model name {registered_model_name[:80]!r} holds '/' or ':'.",
                hint="Use link_artifact() with a target path for another registry.",
            )
        artifact = self.log_model(path, name)
        return self.link_artifact(artifact, f"model-registry/{registered_model_name}", aliases)

    def _settle_artifacts(self) -> list[str]:
        """Try once more to store what could not even go to the spool; the names of what is still not stored."""
        for artifact in list(self._unsettled()):
            artifact.retry_storing()
        return [artifact.collection_name for artifact in self._unsettled()]

    def _unsettled(self) -> list[Artifact]:
        """Artifacts that neither the store nor the spool has, because the disk took nothing."""
        found: list[Artifact] = vars(self).setdefault("_unsettled_artifacts", [])
        return found

    @property
    def _reader(self) -> Reader:
        from weighbridge.sdk.public.reader import Reader

        return Reader(self._client)

    @property
    def _organization(self) -> str:
        return self._client.identity.organization if self.is_online else self._client.settings.organization

    def _as_artifact(
        self, source: Artifact | str | os.PathLike[str], name: str | None, type: str
    ) -> Artifact:
        from weighbridge.sdk.artifact import Artifact

        if isinstance(source, Artifact):
            return source
        text = os.fspath(source)
        base = (
            os.path.basename(os.path.abspath(text))
            if not _HAS_SCHEME.match(text)
            else text.rsplit("/", 1)[-1]
        )
        chosen = name or _NOT_IN_NAMES.sub("-", f"run-{self.ref.run_id}-{base}")[:128]
        artifact = Artifact(chosen, type)
        if _HAS_SCHEME.match(text):
            artifact.add_reference(text)
        elif os.path.isdir(text):
            artifact.add_dir(text)
        else:
            artifact.add_file(text)
        return artifact

    def _fetch(self, name: str, type: str | None) -> Artifact:
        if self.is_disabled:
            return _placeholder(name, type or UNSPECIFIED, self.ref)
        if not self.is_online:
            raise UsageError(
                f"use_artifact({name[:200]!r}) must ask the store, and this run is offline.",
                hint="Fetch it with weighbridge.Api().artifact(...) and pass that, or run online.",
            )
        place = self._reader.place(name, entity=self.ref.entity, project=self.ref.project)
        return self._reader.resolve(place, type)

    def _store(
        self,
        artifact: Artifact,
        aliases: Sequence[str] | str | None,
        tags: Sequence[str] | str | None,
        *,
        used_by_run: bool,
    ) -> Artifact:
        """Store it now; or spool the intent; or, if the store takes no bytes, keep it for a retry."""
        from weighbridge.sdk.artifact_logging import log_request, store_files

        request = log_request(
            artifact,
            self.ref,
            aliases=aliases,
            tags=tags,
            history_step=self.logged_step,
            used_by_run=used_by_run,
        )
        if self.is_disabled:
            artifact.settle_in_memory(_record_in_memory(request))
            return artifact
        try:
            self._log(artifact, request, store_files(artifact, request, self._client))
        except WeighbridgeError as error:
            if not error.retryable:
                raise
            self._keep(artifact, request, error)
        return artifact

    def _log(self, artifact: Artifact, request: LogArtifact, manifest: Manifest) -> None:
        """Make the version of files that are in the store, now or by the spool."""
        from weighbridge.sdk.artifact_logging import with_manifest
        from weighbridge.wire.spool_items import LogArtifactItem

        whole = with_manifest(request, manifest)

        def intent() -> LogArtifactItem:
            info = self._client.transport.blobs.put_bytes(whole.manifest)
            return LogArtifactItem(with_manifest(request, manifest, is_apart=True), info.digest)

        def log() -> VersionRecord:
            return self._client.transport.artifacts.log(whole)

        record = self._ask(log, intent, "log_artifact")
        if artifact in self._unsettled():
            self._unsettled().remove(artifact)
        if record is not None:
            artifact.settle(record, self._reader)
        else:
            artifact.await_sync(
                whole, retry=(lambda: artifact.settle(log(), self._reader)) if self.is_online else None
            )

    def _keep(self, artifact: Artifact, request: LogArtifact, error: WeighbridgeError) -> None:
        from weighbridge.sdk.artifact_logging import store_files

        warn_once(
            f"artifact {artifact.client_id}",
            f"artifact {artifact.collection_name!r} is not stored yet: {error} wait() and finish() try again.",
        )

        def retry() -> None:
            self._log(artifact, request, store_files(artifact, request, self._client))

        artifact.await_sync(request, retry=retry)
        self._unsettled().append(artifact)

    def _ask(
        self,
        call: Callable[[], T],
        item: ArtifactItem | Callable[[], ArtifactItem],
        action: str,
        *,
        can_ask: bool = True,
    ) -> T | None:
        """The store's answer; or None, with the intent in the spool, where it cannot be asked or not now."""
        if self.is_online and can_ask:
            try:
                return call()
            except WeighbridgeError as error:
                if not (error.retryable or isinstance(error, RunNotFound)):
                    raise
                warn_once(
                    f"{action} {self.ref.path}",
                    f"{action} could not be done now and is kept in the spool: {error}",
                )
        self._record(item() if callable(item) else item)
        return None


def _placeholder(name: str, type: str, run: RunRef) -> Artifact:
    """What a disabled run uses in the place of a version: empty, and stored nowhere."""
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.names import parse_artifact_path
    from weighbridge.sdk.artifact import Artifact

    path = parse_artifact_path(name)
    entity, project = path.entity or run.entity, path.project or run.project
    artifact = Artifact("disabled", type)
    artifact.settle_in_memory(
        VersionRecord(
            version_id=0,
            digest="",
            type=type,
            entity=entity,
            project=project,
            collection=path.collection,
            version="v0",
            source_entity=entity,
            source_project=project,
            source_collection=path.collection,
            source_version="v0",
        )
    )
    return artifact


def _record_in_memory(request: LogArtifact) -> VersionRecord:
    """The record a disabled run makes up, so that a script reads names and versions as ever."""
    from weighbridge.domain.artifact import VersionRecord

    return VersionRecord(
        version_id=0,
        digest=request.digest,
        type=request.type,
        entity=request.entity,
        project=request.project,
        collection=request.name,
        version="v0",
        aliases=("latest", *request.aliases),
        source_entity=request.entity,
        source_project=request.project,
        source_collection=request.name,
        source_version="v0",
        description=request.description,
        metadata=request.metadata,
        tags=request.tags,
        history_step=request.history_step,
    )
