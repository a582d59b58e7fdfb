"""Carries out artifact intents found in a spool. It holds no state: an item may come any number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.run import RunRef
from weighbridge.wire.artifacts import LinkVersion, ResolveVersion, UseVersion
from weighbridge.wire.spool_items import ArtifactItem, LinkArtifactItem, LogArtifactItem, PendingVersion

if TYPE_CHECKING:
    from weighbridge.sdk.transport.base import Transport


def replay(item: ArtifactItem, run: RunRef, transport: Transport) -> None:
    """Carry out one item for `run`. Items come in their order, since later ones name earlier ones.

    Raises what the transport raises; only a `retryable` error means that the same item may succeed later.
    """
    if isinstance(item, LogArtifactItem):
        manifest = transport.blobs.read(item.manifest_blob)
        transport.artifacts.log(msgspec.structs.replace(item.request, manifest=manifest, run=run))
    elif isinstance(item, LinkArtifactItem):
        transport.artifacts.link(
            LinkVersion(
                version_id=_version_id(item.version_id, item.pending, transport),
                entity=item.entity,
                project=item.project,
                collection=item.collection,
                aliases=item.aliases,
                run=run,
            )
        )
    else:
        transport.artifacts.use(
            UseVersion(
                run=run,
                version_id=_version_id(item.version_id, item.pending, transport),
                entity=item.place.entity,
                project=item.place.project,
                collection=item.place.collection,
                used_as=item.used_as,
            )
        )


def _version_id(known: int | None, pending: PendingVersion | None, transport: Transport) -> int:
    if known is not None:
        return known
    if pending is None:
        raise ValueError("an artifact item names neither a version nor a pending one")
    place = pending.place
    request = ResolveVersion(
        entity=place.entity,
        project=place.project,
        collection=place.collection,
        version=place.version,
        type=pending.type,
    )
    return transport.artifacts.resolve(request).version_id
