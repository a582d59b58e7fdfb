"""The content of an artifact before it is logged: which files, as they were when added, and which references.

Files are read when the artifact is logged, all in one batch; one that changed since it was added is refused
by name, so a version never holds a mixture (docs/design/0008-sdk-artifacts.md). It knows no run and no
version.
"""

from __future__ import annotations

import os
import stat as stat_bits
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weighbridge.domain.manifest import Manifest, ManifestEntry, check_entry_path
from weighbridge.errors import InvalidInput, SourceChanged, UsageError
from weighbridge.sdk.staging import Staging
from weighbridge.sdk.tree import TreeFile, walk

if TYPE_CHECKING:
    from weighbridge.sdk.digest_cache import DigestCache
    from weighbridge.services.ports.blobs import BlobStore
    from weighbridge.settings import Settings

SETTLE_BYTES: Final = 16 << 20
SETTLE_FILES: Final = 500
"""From here on it pays to wait up to 20 ms before reading files written just now, so that next time none is
read.
"""


def look(path: str) -> TreeFile:
    """A regular file, through links, as it stands now. Raises SourceChanged (not there), InvalidInput."""
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        raise SourceChanged(
            f"{path} is not there.",
            hint="Check the path. If it was added and is gone, add it again or remove() it.",
        ) from error
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", hint="Check the permissions."
        ) from error
    except ValueError as error:
        raise InvalidInput(f"{path!r} is no file name.", hint="Leave out NUL characters.") from error
    if not stat_bits.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is not a regular file.", hint="Use add_dir() for a folder.")
    return TreeFile("", path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _content_of(file: TreeFile) -> tuple[str, int, int, int, int]:
    """What changes when a file's content does; its mode and link count may change without harm."""
    return file.path, file.size_bytes, file.mtime_ns, file.inode, file.device


class Draft:
    """Paths of a version to be: sources to read, and entries whose digest is known already."""

    def __init__(self, base: Manifest | None = None) -> None:
        self._sources: dict[str, TreeFile] = {}
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
        """Add every file below a folder, under `prefix`; how many. Links out of the folder are refused."""
        files = walk(root, prefix=prefix).files
        for file in files:
            source = look(str(self.staging.copy(Path(file.path)))) if is_private_copy else file
            self._add_source(file.name, source, overwrite=overwrite)
        return len(files)

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

    def source(self, name: str) -> TreeFile | None:
        """Where a path will be read from, None if it won't."""
        return self._sources.get(name)

    def entry(self, name: str) -> ManifestEntry | None:
        """The entry of a path whose digest is known, else None."""
        return self._entries.get(name)

    def manifest(self) -> Manifest:
        """The manifest as it would be now; reads every file. Raises SourceChanged."""
        entries = list(self._entries.values())
        for path, source in self._sources.items():
            digest = hash_file(source)
            entries.append(ManifestEntry(path=path, digest=digest, size_bytes=source.size_bytes))
        return Manifest.build(entries)

    def store(self, blobs: BlobStore, digests: DigestCache, settings: Settings) -> Manifest:
        """Put every file into the blob store, reading only those not known there; the manifest of all.

        Raises SourceChanged naming the first file that changed since it was added, or while it was read.
        """
        sources = list(self._sources.values())
        _check_unchanged(sources)
        known = digests.lookup(sources)
        absent = blobs.missing(known.values())
        unread = [s for s in sources if s.path not in known or known[s.path] in absent]
        if unread:
            known.update(_put(unread, blobs, digests, settings))
        entries = list(self._entries.values())
        entries.extend(
            ManifestEntry(path=path, digest=known[source.path], size_bytes=source.size_bytes)
            for path, source in self._sources.items()
        )
        return Manifest.build(entries)

    def _add_source(self, path: str, source: TreeFile, *, overwrite: bool) -> None:
        known = self._sources.get(path)
        is_same = known is not None and _content_of(known) == _content_of(source)
        is_taken = known is not None or (path in self._entries and path not in self._inherited)
        if is_taken and not is_same and not overwrite:
            raise _twice(path)
        self._entries.pop(path, None)
        self._inherited.discard(path)
        self._sources[path] = source


def _twice(path: str) -> UsageError:
    return UsageError(
        f"The artifact holds {path!r} already.",
        hint="Pass overwrite=True, remove() it first, or use another name.",
    )


def _check_unchanged(sources: Iterable[TreeFile]) -> None:
    for source in sources:
        try:
            found = os.stat(source.path)
        except OSError as error:
            raise changed(source) from error
        if (found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev) != (
            source.size_bytes,
            source.mtime_ns,
            source.inode,
            source.device,
        ):
            raise changed(source)


def changed(source: TreeFile) -> SourceChanged:
    """The error for a file that is not what it was when it was added."""
    return SourceChanged(
        f"{source.path} changed after it was added.",
        hint="Add it again once it is complete, or pass policy='mutable' to keep a private copy.",
        details={"path": source.path},
    )


def _put(
    sources: Sequence[TreeFile], blobs: BlobStore, digests: DigestCache, settings: Settings
) -> dict[str, str]:
    """Store files and remember their digests; path -> digest. Raises SourceChanged."""
    from weighbridge.sdk.digest_cache import settle_s
    from weighbridge.sdk.progress import TransferProgress

    by_path = {source.path: source for source in sources}
    total = sum(source.size_bytes for source in by_path.values())
    if total >= SETTLE_BYTES or len(by_path) >= SETTLE_FILES:
        time.sleep(settle_s(by_path.values(), now_ns=time.time_ns()))
    read_after_ns = time.time_ns()
    with TransferProgress("storing", total_bytes=total, settings=settings) as progress:
        infos = blobs.put_files([Path(path) for path in by_path], progress=progress.callback)
    _check_unchanged(by_path.values())  # between the first look and the store's own
    found = {path: info.digest for path, info in zip(by_path, infos, strict=True)}
    digests.store(((by_path[path], digest) for path, digest in found.items()), read_after_ns=read_after_ns)
    return found


def digest_of(manifest: Manifest) -> str:
    """The identity of a version's content: BLAKE3 of the manifest's canonical bytes."""
    import blake3

    return str(blake3.blake3(manifest.canonical_bytes()).hexdigest())


def hash_file(source: TreeFile) -> str:
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
