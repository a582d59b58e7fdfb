"""Turns a URI into manifest entries. Only `file://` is ever opened; every other URI is kept as it is written."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from weighbridge.domain.manifest import ManifestEntry, check_entry_path
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.sdk.artifact_draft import hash_file, look
from weighbridge.sdk.tree import walk

URI_MAX: Final = 4_096
OBJECTS_MAX: Final = 1_000_000


def reference_entries(
    uri: str, name: str | None, *, checksum: bool, max_objects: int | None
) -> list[ManifestEntry]:
    """The entries of a reference: one, or one a file for a `file://` folder.

    checksum: record the digest of a `file://` target, so that a download is verified. Raises InvalidInput,
    InvalidManifest, LimitExceeded (more files than `max_objects`), SourceChanged (nothing there).
    """
    if len(uri) > URI_MAX or "\0" in uri:
        raise InvalidInput(
            f"A reference is not text of at most {URI_MAX:,} characters.",
            hint="Pass a URI such as s3://bucket/key.",
        )
    parts = urlsplit(uri)
    if not parts.scheme:
        raise InvalidInput(
            f"Reference {uri[:200]!r} has no scheme.",
            hint="Write file:///path, s3://bucket/key or https://host/path.",
        )
    if parts.username or parts.password:
        raise InvalidInput(
            "The reference holds a login.", hint="Leave the login out; the URI is stored as it is."
        )
    path = unquote(parts.path)
    if parts.scheme == "file":
        return _file_entries(path, name, checksum=checksum, max_objects=max_objects)
    chosen = check_entry_path(name or posixpath.basename(path.rstrip("/")) or parts.netloc)
    return [ManifestEntry(path=chosen, digest="", size_bytes=0, ref=uri)]


def _file_entries(
    path: str, name: str | None, *, checksum: bool, max_objects: int | None
) -> list[ManifestEntry]:
    if not os.path.isabs(path):
        raise InvalidInput(
            f"Reference file://{path[:200]} is not absolute.", hint="Write file:///absolute/path."
        )
    if not os.path.isdir(path):
        return [_file_entry(path, check_entry_path(name or os.path.basename(path)), checksum=checksum)]
    limit = OBJECTS_MAX if max_objects is None else max_objects
    files = walk(Path(path), prefix=(name or "").strip("/")).files
    if len(files) > limit:
        raise LimitExceeded(
            f"file://{path} holds {len(files):,} files; at most {limit:,} are taken.",
            hint="Pass a larger max_objects, or a smaller folder.",
        )
    return [_file_entry(file.path, file.name, checksum=checksum) for file in files]


def _file_entry(path: str, name: str, *, checksum: bool) -> ManifestEntry:
    source = look(path)
    digest = hash_file(source) if checksum else ""
    return ManifestEntry(path=name, digest=digest, size_bytes=source.size_bytes, ref=Path(path).as_uri())
