"""How an artifact becomes a stored version, and what may change afterwards. It touches no local file."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from weighbridge.domain.names import LATEST
from weighbridge.domain.registry import Place
from weighbridge.errors import UsageError, WeighbridgeError
from weighbridge.sdk.artifact_identity import ArtifactHost, ArtifactIdentity
from weighbridge.sdk.links import check_aliases, check_tags
from weighbridge.sdk.values import plain
from weighbridge.wire.artifacts import (
    DeleteVersion,
    LogArtifact,
    UnlinkVersion,
    UpdateVersion,
    UseVersion,
)
from weighbridge.wire.spool_items import PendingVersion

if TYPE_CHECKING:
    from typing import Self

    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.run import RunRef
    from weighbridge.sdk.artifact_draft import Draft

WAIT_POLL_S: Final = 0.2
WAIT_DEFAULT_S: Final = 3_600.0


class ArtifactLifecycle(ArtifactIdentity):
    """Draft -> waiting to be stored (perhaps) -> stored. `_host` None on a stored one means a disabled run's."""

    use_as: str
    """The role it plays where it is used as an input."""
    incremental: bool
    """Begin with the files of the newest version of the name, at the time it is logged."""

    def _begin(self, draft: Draft | None, *, asked_for: str | None = None) -> None:
        self._asked_for = asked_for
        self._client_id = secrets.token_hex(16)
        self._draft = draft
        self._record: VersionRecord | None = None
        self._pending: PendingVersion | None = None
        self._host: ArtifactHost | None = None
        self._retry: Callable[[], None] | None = None

    def save(
        self,
        project: str | None = None,
        *,
        expected: Mapping[str, str | None] | None = None,
        reason: str = "",
    ) -> None:
        """Store a draft in the current run (or in one opened for it); write edits of a stored version.

        An alias that was taken from the list is removed only if it still points here.

        Args:
            project: for the run that is opened.
            expected: guards moves: alias -> the `vN` it must point to now (None: nowhere), else AliasMoved.
            reason: kept in the alias history.
        """
        if self._record is None:
            self._log_in_a_run(project)
            return
        if self._host is None:
            return
        old = self._record
        aliases = check_aliases([alias for alias in self.aliases if alias not in old.aliases])
        removed = tuple(a for a in old.aliases if a not in self.aliases and a != LATEST)
        tags = check_tags(self.tags)
        request = UpdateVersion(
            version_id=old.version_id,
            entity=old.entity,
            project=old.project,
            collection=old.collection,
            description=self.description if self.description != old.description else None,
            metadata=plain(self.metadata, "metadata") if self.metadata != old.metadata else None,
            tags=tags if tags != old.tags else None,
            aliases_added=aliases,
            aliases_removed=removed,
            expected={**dict.fromkeys(removed, old.version), **(expected or {})},
            reason=reason,
        )
        self._take(self._host.client.transport.artifacts.update(request))

    def wait(self, timeout: float | None = None) -> Self:
        """Return once the version is stored; at once in the ordinary case.

        timeout: seconds, None for an hour. Raises UsageError on a draft, in an offline run, and when time
        is up.
        """
        if self._is_stored():
            return self
        if self._retry is None:
            self._stored("stored version")  # says why there is none
        limit_s = WAIT_DEFAULT_S if timeout is None else timeout
        deadline = time.monotonic() + limit_s
        while True:
            problem = self.retry_storing()
            if self._is_stored():
                return self
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise UsageError(
                    f"Artifact {self._name!r} could not be stored within {limit_s:g} s: {problem}",
                    hint="The run keeps it; it is stored once the store takes data again.",
                )
            time.sleep(min(WAIT_POLL_S, left_s))

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete the version, refused while it has aliases unless `delete_aliases`; of a link, only the link."""
        record = self._stored("stored version")
        if record.is_link:
            self.unlink()
            return
        if self._host is not None:
            request = DeleteVersion(version_id=record.version_id, delete_aliases=delete_aliases)
            self._host.client.transport.artifacts.delete(request)

    def unlink(self) -> None:
        """Take the version out of the registry collection it was reached by. Raises UsageError on a source."""
        record = self._stored("link")
        if not record.is_link:
            raise UsageError(
                f"{record.path} is the source, not a link.",
                hint="Fetch it through the registry, then unlink().",
            )
        if self._host is not None:
            self._host.client.transport.artifacts.unlink(
                UnlinkVersion(
                    version_id=record.version_id,
                    entity=record.entity,
                    project=record.project,
                    collection=record.collection,
                )
            )

    # --- for the modules that store it ---

    @property
    def client_id(self) -> str:
        """Names the wish to store this draft, so that repeating it makes one version."""
        return self._client_id

    @property
    def draft(self) -> Draft | None:
        """The content, until it is stored."""
        return self._draft

    def address(self) -> tuple[Place, int | None, PendingVersion | None]:
        """Through which collection it is reached, and its id or the pending version it will be."""
        if self._pending is not None and self._record is None:
            return self._pending.place, None, self._pending
        record = self._stored("address")
        return (
            Place(record.entity, record.project, record.collection, record.version),
            record.version_id,
            None,
        )

    def settle(self, record: VersionRecord, host: ArtifactHost) -> None:
        """Be a stored version."""
        self._host, self._pending, self._retry, self._draft = host, None, None, None
        self._take(record)

    def settle_in_memory(self, record: VersionRecord) -> None:
        """Be a version in name only, for a disabled run."""
        self._pending, self._retry = None, None
        self._take(record)

    def await_sync(self, request: LogArtifact, *, retry: Callable[[], None] | None) -> None:
        """Wait to be stored. retry: stores it, raising while it can't; None where only a sync can."""
        place = Place(request.entity, request.project, request.name, request.digest)
        self._pending = PendingVersion(place, request.type)
        self._retry = retry

    def retry_storing(self) -> WeighbridgeError | None:
        """Try to store it once more; the error that may pass, or None. Other errors are raised."""
        if self._record is not None or self._retry is None:
            return None
        try:
            self._retry()
        except WeighbridgeError as error:
            if not error.retryable:
                raise
            return error
        return None

    def record_use(self, run: RunRef, *, used_as: str = "") -> None:
        """Record that a run consumed this version, through the collection it was reached through."""
        record = self._stored("version to use")
        self._other_side().client.transport.artifacts.use(
            UseVersion(
                run=run,
                version_id=record.version_id,
                entity=record.entity,
                project=record.project,
                collection=record.collection,
                used_as=used_as or self.use_as,
            )
        )

    def _is_stored(self) -> bool:
        return self._record is not None

    def _take(self, record: VersionRecord) -> None:
        """Be the version that a record describes, forgetting edits that were not saved."""
        self._record = record
        self._name, self._type = record.collection, record.type
        self.description = record.description
        self._metadata = copy.deepcopy(record.metadata)
        self._tags = list(record.tags)
        self.aliases = list(record.aliases)

    def _other_side(self) -> ArtifactHost:
        if self._host is None:
            raise UsageError(
                f"Artifact {self._name!r} belongs to a disabled run and is stored nowhere.",
                hint="Use mode='online' or 'offline'.",
            )
        return self._host

    def _log_in_a_run(self, project: str | None) -> None:
        # By name: this module must not import what opens runs, which imports this one.
        from importlib import import_module

        package = import_module("weighbridge")
        if package.run is not None:
            package.run.log_artifact(self)
            return
        with package.init(project=project, job_type="auto") as run:
            run.log_artifact(self)
