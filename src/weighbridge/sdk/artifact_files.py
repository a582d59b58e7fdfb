"""One file or reference of an artifact, as `get_entry()` and `files()` give it. It holds no bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from weighbridge.errors import UsageError

if TYPE_CHECKING:
    from weighbridge.domain.manifest import ManifestEntry

Download = Callable[[str | None, str], str]
"""Fetches one path into a root (None: the default) and returns where the file lies."""


class ArtifactEntry:
    """A path in an artifact with its digest and size, or the URI it refers to."""

    def __init__(
        self, entry: ManifestEntry, *, download: Download | None = None, local_path: str | None = None
    ) -> None:
        self._entry = entry
        self._download = download
        self.local_path = local_path
        """Where a draft's file was added from; None for a stored one."""

    @property
    def path(self) -> str:
        """The logical path, with `/`."""
        return self._entry.path

    @property
    def name(self) -> str:
        """Another name of `path`, as W&B's files have."""
        return self._entry.path

    @property
    def digest(self) -> str:
        """BLAKE3 of the bytes; of a reference, what was recorded for it."""
        return self._entry.digest

    @property
    def size(self) -> int:
        """Bytes; 0 for a reference of unknown size."""
        return self._entry.size_bytes

    @property
    def ref(self) -> str | None:
        """The URI of a reference, None for a file."""
        return self._entry.ref

    def ref_target(self) -> str:
        """The URI of a reference. Raises UsageError for a file."""
        if self._entry.ref is None:
            raise UsageError(f"{self.path!r} is a file, not a reference.", hint="Use download().")
        return self._entry.ref

    def renamed(self, path: str) -> ManifestEntry:
        """The same content under another path, for a draft. Raises UsageError where the digest is not known
        yet.
        """
        import msgspec

        if self.local_path is not None:
            raise UsageError(
                f"{self.path!r} belongs to a draft.", hint="Add the file itself with add_file()."
            )
        return msgspec.structs.replace(self._entry, path=path)

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
