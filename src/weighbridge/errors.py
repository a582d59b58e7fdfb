"""The whole error tree of Weighbridge.

WeighbridgeError (code, message, hint, details, retryable)
├── UsageError            the caller used the client wrongly
│   ├── RunFinished           log() after finish()
│   ├── NotInitialised        weighbridge.log() before init()
│   └── VerdictFailed         raise_for_verdict() on a verdict that is not `passed`
├── InvalidInput          400, the value itself can never be right
│   ├── InvalidName           a name breaks the rules of its kind
│   ├── InvalidManifest       a path or entry of an artifact is unsafe or malformed
│   ├── InvalidFilter         a filter or an order cannot be read
│   ├── InvalidReference      an artifact path such as `a/b/c:v1` cannot be read
│   ├── InvalidSetting        a setting has an impossible value
│   └── InvalidScorer         a scorer cannot be loaded or broke its contract
├── NotAuthenticated      401
├── PermissionDenied      403
├── NotFound              404
│   ├── ProjectNotFound, RunNotFound, ArtifactNotFound, CollectionNotFound, AliasNotFound,
│   │   BlobNotFound, EvaluationNotFound
│   └── ProducerNotFound      the version has no run that made it
├── Conflict              409
│   ├── AlreadyExists         the id or name is taken
│   ├── AliasMoved            the alias points elsewhere than the caller believed
│   ├── TypeMismatch          a collection holds another artifact type
│   ├── OffsetConflict        a batch does not begin where the stored ones end
│   └── SourceChanged         a file changed while it was being added
├── LimitExceeded         413 or 429
├── StorageError          500 or 503
│   ├── StorageBusy           another process holds the database (retryable)
│   ├── StorageFull           no space left (retryable)
│   ├── DigestMismatch        bytes are not what their digest says
│   ├── DamagedRecord         a stored frame or chunk fails its checksum
│   └── SchemaTooNew          the home was written by a newer version
└── TransportError        the client could not reach or understand the other side
    └── ServerUnreachable     (retryable)

Nothing here imports anything of ours. Driver errors never leave storage or transport: they are
turned into one of these where they happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class WeighbridgeError(Exception):
    """Root of every error this library raises.

    `message` names the thing and says what is wrong with it and is safe to show; `hint` says what to
    do next; `details` is small and JSON-safe; `code` is stable and documented in docs/reference/errors.md.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, object] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.details))


def _rebuild(
    kind: type[WeighbridgeError], message: str, hint: str, details: dict[str, object]
) -> WeighbridgeError:
    return kind(message, hint=hint, details=details)


class UsageError(WeighbridgeError):
    """The client was used wrongly."""

    code = "usage"


class RunFinished(UsageError):
    """The run has finished and takes no more data."""

    code = "run_finished"


class NotInitialised(UsageError):
    """A module-level call came before `init()`."""

    code = "not_initialised"


class VerdictFailed(UsageError):
    """An evaluation's verdict is not `passed`."""

    code = "verdict_failed"


class InvalidInput(WeighbridgeError):
    """A value can never be right."""

    code = "invalid_input"


class InvalidName(InvalidInput):
    """A name breaks the rules of its kind."""

    code = "invalid_name"


class InvalidManifest(InvalidInput):
    """A path or an entry of an artifact is unsafe or malformed."""

    code = "invalid_manifest"


class InvalidFilter(InvalidInput):
    """A filter or an order cannot be read."""

    code = "invalid_filter"


class InvalidReference(InvalidInput):
    """An artifact path cannot be read."""

    code = "invalid_reference"


class InvalidSetting(InvalidInput):
    """A setting has an impossible value."""

    code = "invalid_setting"


class InvalidScorer(InvalidInput):
    """A scorer cannot be loaded, or broke its contract."""

    code = "invalid_scorer"


class NotAuthenticated(WeighbridgeError):
    """No valid credentials came with the request."""

    code = "not_authenticated"


class PermissionDenied(WeighbridgeError):
    """The actor may not do this."""

    code = "permission_denied"


class NotFound(WeighbridgeError):
    """The named thing does not exist, or the actor may not see it."""

    code = "not_found"


class ProjectNotFound(NotFound):
    """No such project."""

    code = "project_not_found"


class RunNotFound(NotFound):
    """No such run."""

    code = "run_not_found"


class ArtifactNotFound(NotFound):
    """No such artifact version."""

    code = "artifact_not_found"


class CollectionNotFound(NotFound):
    """No such artifact collection."""

    code = "collection_not_found"


class AliasNotFound(NotFound):
    """The collection exists but has no such alias or version."""

    code = "alias_not_found"


class BlobNotFound(NotFound):
    """The bytes of a digest are missing from the store."""

    code = "blob_not_found"


class EvaluationNotFound(NotFound):
    """No such evaluation."""

    code = "evaluation_not_found"


class ProducerNotFound(NotFound):
    """The version has no run that made it."""

    code = "producer_not_found"


class Conflict(WeighbridgeError):
    """The thing exists in a state that does not allow this."""

    code = "conflict"


class AlreadyExists(Conflict):
    """The id or name is taken."""

    code = "already_exists"


class AliasMoved(Conflict):
    """The alias points elsewhere than the caller believed."""

    code = "alias_moved"


class TypeMismatch(Conflict):
    """A collection holds another artifact type."""

    code = "type_mismatch"


class OffsetConflict(Conflict):
    """A batch does not begin where the stored ones end."""

    code = "offset_conflict"


class SourceChanged(Conflict):
    """A file changed or vanished while it was being added."""

    code = "source_changed"


class LimitExceeded(WeighbridgeError):
    """A stated bound was passed."""

    code = "limit_exceeded"


class StorageError(WeighbridgeError):
    """The store could not do its work."""

    code = "storage"


class StorageBusy(StorageError):
    """Another process holds the database."""

    code = "storage_busy"
    retryable = True


class StorageFull(StorageError):
    """No space is left on the disk."""

    code = "storage_full"
    retryable = True


class DigestMismatch(StorageError):
    """Bytes are not what their digest says."""

    code = "digest_mismatch"


class DamagedRecord(StorageError):
    """A stored frame or chunk fails its checksum."""

    code = "damaged_record"


class SchemaTooNew(StorageError):
    """The home was written by a newer version of Weighbridge."""

    code = "schema_too_new"


class TransportError(WeighbridgeError):
    """The client could not reach or understand the other side."""

    code = "transport"


class ServerUnreachable(TransportError):
    """The server does not answer."""

    code = "server_unreachable"
    retryable = True
