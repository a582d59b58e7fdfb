"""The content of an artifact before it is logged: which files, as they were when added, and which references.

Files are read when the artifact is logged, all in one batch; one that changed since it was added is refused
by name, so a version never holds a mixture (docs/design/0008-sdk-artifacts.md). It knows no run and no
version.
"""

from __future__ import annotations

import os
import stat as stat_bits
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.domain.manifest import Manifest, ManifestEntry, check_entry_path
from weighbridge.errors import InvalidInput, SourceChanged, UsageError
from weighbridge.sdk.staging import Staging

if TYPE_CHECKING:
    from weighbridge.sdk.digest_cache import DigestCache
    from weighbridge.services.ports.blobs import BlobStore
    from weighbridge.settings import Settings

POLICIES: Final = ("mutable", "immutable")


class Source(NamedTuple):
    """A file as it stood when it was added."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int


def look(path: str) -> Source:
    """A regular file (through symbolic links) as it stands now. Raises SourceChanged if there is none,
    InvalidInput.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        raise SourceChanged(f"{path} is not there.", hint="Add the file again, or remove() it.") from error
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", hint="Check the permissions."
        ) from error
    except ValueError as error:
        raise InvalidInput(f"{path!r} is no file name.", hint="Leave out NUL characters.") from error
    if not stat_bits.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is not a regular file.", hint="Use add_dir() for a folder.")
    return Source(path, found.st_size, found.st_mtime_ns, found.st_ino)


class Draft:
    """Paths of a version to be: sources to read, and entries whose digest is known already."""

    def __init__(self, base: Manifest | None = None) -> None:
        self._sources: dict[str, Source] = {}
        self._entries: dict[str, ManifestEntry] = (
            {entry.path: entry for entry in base.entries} if base else {}
        )
        self._inherited: set[str] = set(self._entries)
        self._staging: Staging | None = None

    def __len__(self) -> int:
        return len(self._sources) + len(self._entries)

    @property
    def staging(self) -> Staging:
        """Where private copies lie."""
        if self._staging is None:
            self._staging = Staging()
        return self._staging

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        known = sum(entry.size_bytes for entry in self._entries.values())
        return known + sum(source.size_bytes for source in self._sources.values())

    def paths(self) -> list[str]:
        """Every logical path, sorted."""
        return sorted((*self._sources, *self._entries))

    def add_file(self, local_path: Path, name: str, *, is_private_copy: bool, overwrite: bool) -> None:
        """Add a file. is_private_copy: copy it now, since the original may go or change."""
        path = check_entry_path(name)
        source = look(os.path.realpath(local_path))
        if is_private_copy:
            source = look(str(self.staging.copy(Path(source.path))))
        self._add_source(path, source, overwrite=overwrite)

    def add_staged(self, staged: Path, name: str, *, overwrite: bool) -> None:
        """Add a file that lies in `staging` already."""
        self._add_source(check_entry_path(name), look(str(staged)), overwrite=overwrite)

    def add_dir(self, root: Path, prefix: str, *, is_private_copy: bool, overwrite: bool) -> int:
        """Add every file below a folder, under `prefix`; how many. Links that lead out of the folder are
        refused.
        """
        from weighbridge.sdk.tree import walk

        count = 0
        for found in walk(root):
            path = f"{prefix}/{found.name}" if prefix else found.name
            check_entry_path(path)
            source = Source(found.path, found.size_bytes, found.mtime_ns, found.inode)
            if is_private_copy:
                source = look(str(self.staging.copy(Path(source.path))))
            self._add_source(path, source, overwrite=overwrite)
            count += 1
        return count

    def add_entry(self, entry: ManifestEntry, *, overwrite: bool = False) -> None:
        """Add a path whose digest is known: a reference, or a file of a stored version."""
        if entry.path in self._sources or (entry.path in self._entries and entry.path not in self._inherited):
            same = self._entries.get(entry.path) == entry
            if not (same or overwrite):
                raise _twice(entry.path)
        self._sources.pop(entry.path, None)
        self._inherited.discard(entry.path)
        self._entries[entry.path] = entry

    def on_top_of(self, base: Manifest) -> Draft:
        """This content with the paths of a stored version that it does not have."""
        merged = Draft(base)
        for path, source in self._sources.items():
            merged._add_source(path, source, overwrite=True)
        for entry in self._entries.values():
            merged.add_entry(entry, overwrite=True)
        merged._staging = self._staging
        return merged

    def remove(self, name: str) -> None:
        """Remove a path, or everything below it where it is a folder. Raises UsageError if neither."""
        if name in self._sources or name in self._entries:
            doomed = [name]
        else:
            doomed = [path for path in self.paths() if path.startswith(name.rstrip("/") + "/")]
        if not doomed:
            raise UsageError(f"The artifact has no {name[:200]!r} to remove.", hint="See artifact.files().")
        for path in doomed:
            self._sources.pop(path, None)
            self._entries.pop(path, None)
            self._inherited.discard(path)

    def source(self, name: str) -> Source | None:
        """Where a path will be read from, None if it won't."""
        return self._sources.get(name)

    def shown(self, name: str) -> ManifestEntry | None:
        """The entry of a path as far as it is known: the digest of a file that was not read yet is empty."""
        source = self._sources.get(name)
        if source is None:
            return self._entries.get(name)
        return ManifestEntry(path=name, digest="", size_bytes=source.size_bytes)

    def manifest(self) -> Manifest:
        """The manifest as it would be now; reads every file. Raises SourceChanged."""
        entries = list(self._entries.values())
        for path, source in self._sources.items():
            digest = hash_file(source)
            entries.append(ManifestEntry(path=path, digest=digest, size_bytes=source.size_bytes))
        return Manifest.build(entries)

    def store(self, blobs: BlobStore, digests: DigestCache | None, settings: Settings | None) -> Manifest:
        """Put every file into the blob store, reading only those not known there; the manifest of all.

        Raises SourceChanged naming the first file that changed since it was added, or while it was read.
        """
        _check_unchanged(self._sources.values())
        known = digests.lookup(self._sources.values()) if digests else {}
        absent = blobs.missing(set(known.values())) if known else set()
        unread = [
            source
            for source in self._sources.values()
            if source.path not in known or known[source.path] in absent
        ]
        if unread:
            known = {**known, **_put(unread, blobs, settings)}
            if digests:
                digests.store((source, known[source.path]) for source in unread)
        entries = list(self._entries.values())
        entries.extend(
            ManifestEntry(path=path, digest=known[source.path], size_bytes=source.size_bytes)
            for path, source in self._sources.items()
        )
        return Manifest.build(entries)

    def _add_source(self, path: str, source: Source, *, overwrite: bool) -> None:
        known = self._sources.get(path)
        is_taken = known is not None or (path in self._entries and path not in self._inherited)
        if is_taken and known != source and not overwrite:
            raise _twice(path)
        self._entries.pop(path, None)
        self._inherited.discard(path)
        self._sources[path] = source


def _twice(path: str) -> UsageError:
    return UsageError(
        f"The artifact holds {path!r} already.",
        hint="Pass overwrite=True, remove() it first, or use another name.",
    )


def _check_unchanged(sources: Iterable[Source]) -> None:
    for source in sources:
        if look(source.path) != source:
            raise changed(source)


def changed(source: Source) -> SourceChanged:
    """The error for a file that is not what it was when it was added."""
    return SourceChanged(
        f"{source.path} changed after it was added.",
        hint="Add it again once it is complete, or pass policy='mutable' to keep a private copy.",
        details={"path": source.path},
    )


def _put(sources: list[Source], blobs: BlobStore, settings: Settings | None) -> dict[str, str]:
    """Store files; path -> digest. Raises SourceChanged."""
    from weighbridge.sdk.progress import TransferProgress

    total = sum(source.size_bytes for source in sources)
    paths = [Path(source.path) for source in dict.fromkeys(sources)]
    with TransferProgress("storing", total_bytes=total, settings=settings) as progress:
        infos = blobs.put_files(paths, progress=progress.callback)
    _check_unchanged(sources)  # between the first look and the store's own
    return {str(path): info.digest for path, info in zip(paths, infos, strict=True)}


def hash_file(source: Source) -> str:
    """BLAKE3 of a file, on all cores where it is large. Raises SourceChanged."""
    import blake3

    hasher = blake3.blake3(max_threads=blake3.blake3.AUTO if source.size_bytes > 1 << 20 else 1)
    try:
        hasher.update_mmap(source.path)
    except OSError as error:
        raise SourceChanged(
            f"{source.path} cannot be read: {error.strerror}.", hint="Add it again, or remove() it."
        ) from error
    _check_unchanged((source,))
    return hasher.hexdigest()
