"""One file or reference of an artifact, as `get_entry()` and `files()` give it. It holds no bytes."""

from __future__ import annotations

import os
from collections.abc import Callable

from weighbridge.domain.manifest import ManifestEntry
from weighbridge.errors import UsageError

Download = Callable[[str | None, str], str]
"""Fetches one path into a root (None: the default) and returns where the file lies."""


class ArtifactEntry:
    """A path in an artifact with its digest and size, or the URI it refers to."""

    def __init__(
        self,
        path: str,
        size_bytes: int,
        *,
        digest: str | Callable[[], str],
        ref: str | None = None,
        download: Download | None = None,
        local_path: str | None = None,
    ) -> None:
        self.path = path
        """The logical path, with `/`."""
        self.size = size_bytes
        """Bytes; 0 for a reference of unknown size."""
        self.ref = ref
        """The URI of a reference, None for a file."""
        self.local_path = local_path
        """Where a draft's file was added from; None for a stored one."""
        self._digest = digest
        self._download = download

    @classmethod
    def of(cls, entry: ManifestEntry, download: Download | None = None) -> ArtifactEntry:
        """An entry of a manifest."""
        return cls(entry.path, entry.size_bytes, digest=entry.digest, ref=entry.ref, download=download)

    @property
    def name(self) -> str:
        """Another name of `path`, as W&B's files have."""
        return self.path

    @property
    def digest(self) -> str:
        """BLAKE3 of the bytes, which are read for it in a draft; of a reference what was recorded, or ""."""
        if callable(self._digest):
            self._digest = self._digest()
        return self._digest

    def ref_target(self) -> str:
        """The URI of a reference. Raises UsageError for a file."""
        if self.ref is None:
            raise UsageError(f"{self.path!r} is a file, not a reference.", hint="Use download().")
        return self.ref

    def renamed(self, path: str) -> ManifestEntry:
        """The same content under another path, for a draft. Raises UsageError for a file not stored yet."""
        if self.local_path is not None:
            raise UsageError(
                f"{self.path!r} belongs to a draft.", hint="Add the file itself with add_file()."
            )
        return ManifestEntry(path=path, digest=self.digest, size_bytes=self.size, ref=self.ref)

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        skip_cache: bool | None = None,
        *,
        replace: bool = True,
        exist_ok: bool = True,
    ) -> str:
        """Fetch the file, checked against its digest; return where it lies.

        The flags are W&B's; a file that is there already and right is kept, a wrong one replaced.
        """
        if self._download is None:
            raise UsageError(f"{self.path!r} belongs to a draft.", hint="Log the artifact first.")
        return self._download(None if root is None else os.fspath(root), self.path)

    def __repr__(self) -> str:
        return f"<ArtifactEntry {self.path} ({self.ref or f'{self.size:,} bytes'})>"
