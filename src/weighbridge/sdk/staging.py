"""A private folder for what a draft must keep until it is logged. It goes with the draft or the process."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from weighbridge.errors import SourceChanged, StorageError


class Staging:
    """Makes the folder at the first use, in the system's temporary folder (`TMPDIR`)."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._count = 0

    def new_path(self, suffix: str = "") -> Path:
        """A path that nothing lies at yet. Raises StorageError."""
        if self._root is None:
            try:
                self._root = Path(tempfile.mkdtemp(prefix="weighbridge-draft-"))
            except OSError as error:
                raise StorageError(
                    f"No temporary folder could be made: {error.strerror}.",
                    hint="Point TMPDIR at a writable one.",
                ) from error
            weakref.finalize(self, _remove, self._root, os.getpid())
        self._count += 1
        return self._root / f"{self._count:06d}{suffix}"

    def copy(self, source: Path) -> Path:
        """A private copy of a file. Raises SourceChanged (vanished), StorageError."""
        target = self.new_path(source.suffix[:16])
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError as error:
            raise SourceChanged(
                f"{source} vanished while it was being added.", hint="Add it again."
            ) from error
        except OSError as error:
            raise StorageError(
                f"{source} could not be copied: {error.strerror}.", hint="Check the disk and the permissions."
            ) from error
        return target


def _remove(root: Path, owner_pid: int) -> None:
    if os.getpid() == owner_pid:  # a forked child must not delete its parent's files
        shutil.rmtree(root, ignore_errors=True)
