"""Artifact intents as a run's spool keeps them, for whoever ships the spool later. Records only.

An intent stands in the spool where the store could not be asked at once (offline, locked, full). Shipping
one twice has the same effect: versions are found again by `client_id` or by their digest.
"""

from __future__ import annotations

import msgspec

from weighbridge.domain.registry import Place
from weighbridge.wire.artifacts import LogArtifact


class LogArtifactItem(msgspec.Struct, frozen=True, tag="log_artifact"):
    """Make a version. Its manifest lies in the blob store, so that a frame stays small."""

    request: LogArtifact
    """With an empty `manifest`."""
    manifest_blob: str
    """Digest of the blob that holds the encoded manifest."""


class PendingVersion(msgspec.Struct, frozen=True):
    """A version that an earlier item of the spool makes: its place, with the manifest's digest as version."""

    place: Place
    type: str


class UseArtifactItem(msgspec.Struct, frozen=True, kw_only=True, tag="use_artifact"):
    """The run consumed a version, known by its id or still pending (exactly one), through a collection."""

    place: Place
    version_id: int | None = None
    pending: PendingVersion | None = None
    used_as: str = ""


class LinkArtifactItem(msgspec.Struct, frozen=True, kw_only=True, tag="link_artifact"):
    """Place a version, known by its id or still pending (exactly one), in a registry collection."""

    entity: str
    project: str
    collection: str
    aliases: tuple[str, ...] = ()
    version_id: int | None = None
    pending: PendingVersion | None = None


ArtifactItem = LogArtifactItem | UseArtifactItem | LinkArtifactItem
