"""What an artifact is called and what is known of it, draft or stored. It neither reads nor writes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from weighbridge.errors import UsageError
from weighbridge.sdk.links import check_tags
from weighbridge.sdk.times import iso
from weighbridge.sdk.values import plain

if TYPE_CHECKING:
    from weighbridge.domain.artifact import CollectionRecord, VersionRecord
    from weighbridge.domain.lineage import Direction
    from weighbridge.domain.registry import Place
    from weighbridge.domain.run import RunRecord, RunRef
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.client import Client
    from weighbridge.sdk.public.collections import ArtifactCollection
    from weighbridge.sdk.public.lineage import Lineage
    from weighbridge.sdk.public.run import Run
    from weighbridge.wire.spool_items import PendingVersion


class ArtifactHost(Protocol):
    """What a stored artifact asks of its surroundings: the client, and objects made of records."""

    @property
    def client(self) -> Client: ...
    def run(self, record: RunRecord, *, is_full: bool = True) -> Run: ...
    def artifact(self, record: VersionRecord, *, asked_for: str | None = None) -> Artifact: ...
    def collection(self, record: CollectionRecord) -> ArtifactCollection: ...
    def resolve(self, place: Place, type_name: str | None = None) -> Artifact: ...
    def lineage(
        self, *, run: RunRef | None = None, version_id: int | None = None, depth: int, direction: Direction
    ) -> Lineage: ...


class ArtifactIdentity:
    """Names, times, sizes, labels. What needs a stored version raises UsageError on a draft.

    `description`, `metadata`, `aliases` and `tags` may be edited; `save()` writes the edits of a stored
    version.
    """

    _record: VersionRecord | None
    _pending: PendingVersion | None
    _name: str
    _type: str
    _metadata: dict[str, Any]
    _tags: list[str]
    description: str
    """What this version is, in words."""
    aliases: list[str]
    """Of the collection it was reached through. Edit the list, then `save()`."""

    def _stored(self, action: str) -> VersionRecord:
        """The stored version's record. Raises UsageError on a draft, or one that waits to be stored."""
        if self._record is not None:
            return self._record
        if self._pending is not None:
            raise UsageError(
                f"Artifact {self._name!r} is not stored yet, so it has no {action}.",
                hint="It is stored when the run is synced; online, artifact.wait() waits for it.",
            )
        raise UsageError(
            f"Artifact {self._name!r} is a draft and has no {action}.",
            hint="Log it first: run.log_artifact(artifact).",
        )

    @property
    def record(self) -> VersionRecord:
        """Everything stored of the version, as last read."""
        return self._stored("record")

    @property
    def id(self) -> str | None:
        """The version's number as text, the same through every link; None on a draft."""
        return None if self._record is None else str(self._record.version_id)

    @property
    def version_id(self) -> int:
        """The version's number, the same through every link."""
        return self._stored("id").version_id

    @property
    def type(self) -> str:
        """The artifact type."""
        return self._record.type if self._record else self._type

    @property
    def name(self) -> str:
        """`collection:vN`; on a draft the name alone. Raises UsageError while it waits to be stored."""
        if self._record is None and self._pending is None:
            return self._name
        return self._stored("version").name

    @property
    def collection_name(self) -> str:
        """The collection's name without a version, draft or not."""
        return self._record.collection if self._record else self._name

    @property
    def version(self) -> str:
        """`vN` in the collection it was reached through."""
        return self._stored("version").version

    @property
    def entity(self) -> str:
        """Owner of that collection's project."""
        return self._stored("entity").entity

    @property
    def project(self) -> str:
        """That collection's project or registry."""
        return self._stored("project").project

    @property
    def qualified_name(self) -> str:
        """`entity/project/collection:vN`."""
        return self._stored("version").path

    @property
    def url(self) -> str:
        """The page's address without a host."""
        record = self._stored("page")
        return (
            f"/{record.entity}/{record.project}/artifacts/{record.type}/{record.collection}/{record.version}"
        )

    @property
    def is_link(self) -> bool:
        """Whether it was reached through a link rather than the sequence it was logged into."""
        return self._record is not None and self._record.is_link

    @property
    def source_entity(self) -> str:
        """Owner of the sequence it was logged into."""
        return self._stored("source").source_entity

    @property
    def source_project(self) -> str:
        """Project of the sequence it was logged into."""
        return self._stored("source").source_project

    @property
    def source_collection_name(self) -> str:
        """The sequence it was logged into."""
        return self._stored("source").source_collection

    @property
    def source_version(self) -> str:
        """`vN` in the sequence it was logged into."""
        return self._stored("source").source_version

    @property
    def source_name(self) -> str:
        """`collection:vN` in the sequence it was logged into."""
        record = self._stored("source")
        return f"{record.source_collection}:{record.source_version}"

    @property
    def source_qualified_name(self) -> str:
        """`entity/project/collection:vN` in the sequence it was logged into."""
        return self._stored("source").source_path

    @property
    def state(self) -> str:
        """W&B's words: PENDING (a draft, or not stored yet), COMMITTED, DELETED."""
        if self._record is None:
            return "PENDING"
        return "DELETED" if self._record.is_deleted else "COMMITTED"

    @property
    def created_at(self) -> str | None:
        """ISO 8601, UTC; None on a draft."""
        return iso(self._record.created_at) if self._record else None

    @property
    def updated_at(self) -> str | None:
        """ISO 8601, UTC; None on a draft."""
        return iso(self._record.updated_at) if self._record else None

    @property
    def history_step(self) -> int | None:
        """The producer's step at the moment it was logged."""
        return self._record.history_step if self._record else None

    @property
    def verdict(self) -> str | None:
        """Verdict of the newest evaluation, as last read: passed, failed, inconclusive, or None."""
        return self._record.verdict if self._record else None

    @property
    def metadata(self) -> dict[str, Any]:
        """Facts about the version, plain JSON values."""
        return self._metadata

    @metadata.setter
    def metadata(self, values: Mapping[str, Any] | None) -> None:
        self._metadata = plain(dict(values or {}), "metadata")

    @property
    def tags(self) -> list[str]:
        """Free labels. Edit the list, then `save()`."""
        return self._tags

    @tags.setter
    def tags(self, tags: Sequence[str] | str | None) -> None:
        self._tags = list(check_tags(tags))

    def is_draft(self) -> bool:
        """Whether it was not logged yet."""
        return self._record is None and self._pending is None

    def __rich_repr__(self) -> Any:
        yield "name", self._record.path if self._record else self._name
        yield "type", self.type
        yield "aliases", list(self.aliases), []
        yield "state", "draft" if self.is_draft() else self.state.lower()
        yield "verdict", self.verdict, None

    def __repr__(self) -> str:
        shown = self._record.path if self._record else self._name
        state = "draft" if self.is_draft() else self.state.lower()
        return f"<Artifact {shown} ({self.type}, {state})>"
