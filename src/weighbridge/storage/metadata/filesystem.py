"""Which kind of file system a folder is on. Looks only; no rules about what to do with the answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_NETWORK: Final = frozenset(
    {
        "9p", "afs", "afp", "beegfs", "ceph", "cephfs", "cifs", "coda", "davfs", "glusterfs", "gpfs",
        "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb2", "smb3",
        "smbfs", "wekafs",
    }
)  # fmt: skip
# Overlays of local files by FUSE; every other FUSE file system (sshfs, s3fs, ...) may be remote.
_LOCAL_FUSE: Final = frozenset({"fuse.fuse-overlayfs", "fuse.bindfs", "fuse.encfs", "fuse.gocryptfs"})
_MOUNTS: Final = Path("/proc/self/mounts")
_MOUNTS_MAX_BYTES: Final = 4 * 1024 * 1024


def is_network_type(kind: str) -> bool:
    """Whether a file system type, as the mount table names it, is shared between hosts."""
    lowered = kind.lower()
    if lowered in _NETWORK:
        return True
    return lowered == "fuse" or (lowered.startswith("fuse.") and lowered not in _LOCAL_FUSE)


def _unescape(text: str) -> str:
    """A path as the mount table writes it, where space, tab, newline and backslash are octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def filesystem_type(folder: Path, *, mounts: Path = _MOUNTS) -> str | None:
    """The type of the file system that holds `folder`, or None where the system does not tell.

    The longest mount point above the folder wins; of equal ones the last, which covers the others.
    """
    try:
        with mounts.open("rb") as file:
            table = file.read(_MOUNTS_MAX_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    place = os.path.realpath(folder)
    best = ""
    found: str | None = None
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _unescape(fields[1])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, found = point, fields[2]
    return found


def is_on_network(folder: Path, *, mounts: Path = _MOUNTS) -> bool:
    """Whether `folder` is on a file system that hosts share; False where the system does not tell."""
    kind = filesystem_type(folder, mounts=mounts)
    return kind is not None and is_network_type(kind)
