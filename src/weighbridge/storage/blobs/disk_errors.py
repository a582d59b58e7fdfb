"""Turns the operating system's errors into ours, in one place. It decides nothing else and touches no file."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from weighbridge.errors import InvalidInput, SourceChanged, StorageError, StorageFull, WeighbridgeError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


def storage_error(error: OSError, *, doing: str) -> StorageError:
    """The error for a failed operation on the store or on a target; `doing` reads like "Writing /x/y".

    A full disk, a used-up quota and a file-size limit are all StorageFull, because the cure is the same.
    """
    reason = error.strerror or type(error).__name__
    details: dict[str, object] = {"errno": errno.errorcode.get(error.errno or 0, "")}
    if error.errno in _FULL:
        return StorageFull(
            f"{doing} failed: {reason}.",
            hint="Free some space or raise the quota, then repeat; nothing half-written was kept.",
            details=details,
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        hint = "Give this user write permission there, or choose another folder."
    else:
        hint = "Check the disk and the folder, then repeat; nothing half-written was kept."
    return StorageError(f"{doing} failed: {reason}.", hint=hint, details=details)


def source_error(error: OSError, path: str | Path) -> WeighbridgeError:
    """The error for a file that was to be added and could not be opened or read."""
    name = os.fspath(path)
    details: dict[str, object] = {"path": name}
    if error.errno in _GONE:
        return SourceChanged(
            f"File {name!r} vanished before it was added.",
            hint="Add it again once it is complete.",
            details=details,
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return InvalidInput(
            f"File {name!r} can't be read: permission denied.",
            hint="Give this user read permission, or leave the file out.",
            details=details,
        )
    return storage_error(error, doing=f"Reading {name!r}")
