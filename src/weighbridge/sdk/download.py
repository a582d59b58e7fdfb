"""Brings the files of a version into a folder, checked, and checks them again. It knows no version's name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from weighbridge.errors import DigestMismatch, InvalidManifest, StorageError, UsageError
from weighbridge.sdk.artifact_draft import hash_file, look
from weighbridge.sdk.notices import warn_once

if TYPE_CHECKING:
    from weighbridge.domain.manifest import ManifestEntry
    from weighbridge.sdk.client import Client

FILE_SCHEME: Final = "file://"


def fetch(entries: Sequence[ManifestEntry], root: Path, client: Client) -> None:
    """Write the entries below `root`; files that are there and right are kept, others replaced.

    Every byte written is hashed on the way. References to `file://` are copied and checked; other
    references are left out, and said so. Raises BlobNotFound, DigestMismatch, InvalidManifest (a path would
    leave the folder), StorageError.
    """
    from weighbridge.sdk.progress import TransferProgress
    from weighbridge.services.ports.blobs import Fetch

    _make_root(root)
    _check_inside(root, entries)
    files = [entry for entry in entries if entry.ref is None]
    total = sum(entry.size_bytes for entry in files)
    fetches = [Fetch(entry.digest, entry.size_bytes, root / entry.path) for entry in files]
    if fetches:
        with TransferProgress("downloading", total_bytes=total, settings=client.settings) as progress:
            client.transport.blobs.fetch_files(fetches, progress=progress.callback)
    _copy_references((entry for entry in entries if entry.ref is not None), root)


def verify(entries: Sequence[ManifestEntry], root: Path) -> None:
    """Hash every file below `root` again. DigestMismatch names the first that is missing, different or extra."""
    for entry in entries:
        target = root / entry.path
        if not entry.digest or (entry.ref is not None and not target.exists()):
            continue
        if not target.is_file():
            raise _mismatch(target, entry.digest, None)
        actual = hash_file(look(str(target)))
        if actual != entry.digest:
            raise _mismatch(target, entry.digest, actual)
    for extra in extra_files(entries, root):
        raise DigestMismatch(
            f"{extra} does not belong to the version.",
            hint="checkout() removes such files.",
            details={"path": str(extra), "expected": None},
        )


def extra_files(entries: Iterable[ManifestEntry], root: Path) -> Iterator[Path]:
    """Files and links below `root` that no entry names."""
    known = {entry.path for entry in entries}
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder, name)
            if path.relative_to(root).as_posix() not in known:
                yield path


def remove_extra(entries: Sequence[ManifestEntry], root: Path) -> None:
    """Delete what no entry names, and empty folders. Links are deleted, never followed. Raises UsageError."""
    resolved = root.resolve()
    home = Path.home().resolve()
    if resolved in (home, *home.parents):
        raise UsageError(
            f"checkout() would delete everything else in {resolved}.", hint="Give it a folder of its own."
        )
    for path in list(extra_files(entries, root)):
        path.unlink()
    for folder, names, _ in os.walk(root, topdown=False):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink():
                path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {root} cannot be made: {error.strerror}.", hint="Pass another root=."
        ) from error


def _check_inside(root: Path, entries: Iterable[ManifestEntry]) -> None:
    """Refuse a folder on the way that is a link out of `root`: a manifest must not write elsewhere."""
    real = os.path.realpath(root)
    for folder in {os.path.dirname(entry.path) for entry in entries}:
        target = os.path.realpath(os.path.join(root, folder))
        if target != real and not target.startswith(real.rstrip("/") + "/"):
            raise InvalidManifest(
                f"{root / folder} leads out of {root} through a link.",
                hint="Remove the link, or download into an empty folder.",
                details={"path": folder, "target": target},
            )


def _copy_references(entries: Iterable[ManifestEntry], root: Path) -> None:
    left: list[str] = []
    for entry in entries:
        uri = entry.ref or ""
        if uri.startswith(FILE_SCHEME):
            _copy_file(Path(unquote(urlsplit(uri).path)), root / entry.path, entry.digest)
        else:
            left.append(uri)
    if left:
        warn_once(
            f"references:{root}",
            f"{len(left)} references were not fetched, the first is {left[0]}. Read them at entry.ref_target().",
        )


def _copy_file(source: Path, target: Path, digest: str) -> None:
    look(str(source))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        actual = hash_file(look(str(partial))) if digest else digest
        if actual != digest:
            raise _mismatch(source, digest, actual)
        os.replace(partial, target)
    except OSError as error:
        raise StorageError(
            f"{source} could not be copied to {target}: {error.strerror}.", hint="Check disk and permissions."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _mismatch(path: Path, expected: str, actual: str | None) -> DigestMismatch:
    if actual is None:
        message = f"{path} is missing; digest {expected} was expected."
    else:
        message = f"{path} has digest {actual}, but {expected} was expected."
    return DigestMismatch(
        message,
        hint="Download it again; if it was changed on purpose, log it as a new version.",
        details={"path": str(path), "expected": expected, "actual": actual},
    )
