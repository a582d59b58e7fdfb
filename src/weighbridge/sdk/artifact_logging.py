"""Stores an artifact as a version: blobs first, then the version in one request. It must not know the spool."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.manifest import Manifest
from weighbridge.errors import NotFound
from weighbridge.sdk.artifact_draft import Draft, digest_of
from weighbridge.sdk.links import check_aliases, check_tags
from weighbridge.sdk.values import plain
from weighbridge.wire.artifacts import LogArtifact, ResolveVersion

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.run import RunRef
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.client import Client


def store_version(
    artifact: Artifact,
    run: RunRef,
    client: Client,
    *,
    aliases: Sequence[str] | str | None = None,
    tags: Sequence[str] | str | None = None,
) -> VersionRecord:
    """Store a draft, or a stored version once more, as an output of a run. Raises what the transport raises."""
    request = log_request(artifact, run, aliases=aliases, tags=tags)
    manifest = store_files(artifact, request, client)
    return client.transport.artifacts.log(with_manifest(request, manifest))


def log_request(
    artifact: Artifact,
    run: RunRef,
    *,
    aliases: Sequence[str] | str | None = None,
    tags: Sequence[str] | str | None = None,
    history_step: int | None = None,
    used_by_run: bool = False,
) -> LogArtifact:
    """The request but for its manifest, checked as far as goes without the store. Raises InvalidName."""
    is_new = artifact.id is None
    own = artifact.aliases if is_new else []
    return LogArtifact(
        entity=run.entity,
        project=run.project,
        name=artifact.collection_name if is_new else artifact.source_collection_name,
        type=artifact.type,
        client_id=artifact.client_id if artifact.is_draft() else secrets.token_hex(16),
        manifest=b"",
        digest="",
        run=run,
        description=artifact.description,
        metadata=plain(artifact.metadata, "metadata"),
        aliases=check_aliases([*own, *([aliases] if isinstance(aliases, str) else aliases or ())]),
        tags=check_tags([*artifact.tags, *([tags] if isinstance(tags, str) else tags or ())]),
        history_step=history_step,
        logged_at=time.time(),
        used_by_run=used_by_run,
    )


def store_files(artifact: Artifact, request: LogArtifact, client: Client) -> Manifest:
    """Put a draft's files into the blob store; the manifest. Raises SourceChanged, StorageFull, StorageError."""
    draft = artifact.draft
    if draft is None:
        return artifact.manifest
    if artifact.incremental:
        draft = draft.on_top_of(_newest(request, client))
    return draft.store(client.transport.blobs, client.digests, client.settings)


def with_manifest(request: LogArtifact, manifest: Manifest, *, is_apart: bool = False) -> LogArtifact:
    """The request, complete. is_apart: the encoded manifest stays out, for it lies among the blobs."""
    encoded = b"" if is_apart else manifest.encode()
    return msgspec.structs.replace(request, manifest=encoded, digest=digest_of(manifest))


def _newest(request: LogArtifact, client: Client) -> Manifest:
    """The manifest of the name's newest version; an empty one where there is none."""
    artifacts = client.transport.artifacts
    try:
        record = artifacts.resolve(
            ResolveVersion(
                entity=request.entity,
                project=request.project,
                collection=request.name,
                version="latest",
                type=request.type,
            )
        )
    except NotFound:
        return Draft().manifest()
    return Manifest.decode(artifacts.manifest(record.version_id))
