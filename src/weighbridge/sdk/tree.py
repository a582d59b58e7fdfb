"""Walks a local folder or file into the files an artifact would hold. It reads names and stats, never content.

What could carry content from outside the folder into a version, or could not be stored, is refused by name.
"""

from __future__ import annotations

import os
import stat as stat_bits
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from weighbridge.domain.manifest import check_entry_path
from weighbridge.errors import InvalidInput, InvalidManifest, LimitExceeded, SourceChanged, WeighbridgeError

FILES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 256
EMPTY_FOLDERS_SHOWN: Final = 1_000


class TreeFile(NamedTuple):
    """One regular file. name: its logical path; path: where it really lies, absolute, links resolved."""

    name: str
    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Tree:
    """What a walk found: files sorted by name, and folders that hold nothing (the first 1,000)."""

    files: list[TreeFile]
    empty_folders: list[str]

    def __iter__(self) -> Iterator[TreeFile]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


class _Folder(NamedTuple):
    """A folder to be read: where it lies, its logical name, and the real folders one is in while reading it."""

    path: str
    name: str
    chain: tuple[str, ...]


def walk(root: Path, *, prefix: str = "", files_max: int = FILES_MAX) -> Tree:
    """Every file below a folder (or the one file `root` is), hidden ones too, named below `prefix`.

    A symbolic link is followed to what lies in the folder as well, under the link's own name. Raises InvalidManifest
    (a link that is broken, circular or leaves the folder; a socket, pipe or device; a name no manifest may hold),
    LimitExceeded, InvalidInput (nothing there, or unreadable), SourceChanged (something vanished meanwhile).
    """
    if prefix:
        check_entry_path(prefix)
    try:
        real = os.path.realpath(root)
        found = os.stat(real)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(
            f"{os.fspath(root)[:1_000]!r} can't be added: {reason}.", hint="Check the path."
        ) from error
    if not stat_bits.S_ISDIR(found.st_mode):
        name = os.path.basename(os.path.abspath(root))
        if not stat_bits.S_ISREG(found.st_mode):
            raise _special(real, found.st_mode)
        file = _tree_file(check_entry_path(f"{prefix}/{name}" if prefix else name), real, found)
        return Tree([file], [])
    return _Walk(real, files_max).run(prefix)


class _Walk:
    """One walk; holds what it has found so far."""

    def __init__(self, root: str, files_max: int) -> None:
        self._root = root
        self._inside = root.rstrip("/") + "/"
        self._files_max = files_max
        self._files: list[TreeFile] = []
        self._empty: list[str] = []
        self._pending: list[_Folder] = []
        self._folders = 0

    def run(self, prefix: str) -> Tree:
        self._push(_Folder(self._root, prefix, ()))
        while self._pending:
            self._read(self._pending.pop())
        self._files.sort()
        return Tree(self._files, sorted(self._empty)[:EMPTY_FOLDERS_SHOWN])

    def _push(self, folder: _Folder) -> None:
        self._folders += 1
        if self._folders > self._files_max or len(folder.chain) > DEPTH_MAX:
            raise LimitExceeded(
                f"{folder.path!r} lies too deep, or there are over {self._files_max:,} folders.",
                hint="Add its parts one by one, or pack them together.",
            )
        self._pending.append(folder)

    def _read(self, folder: _Folder) -> None:
        inner = folder._replace(chain=(*folder.chain, folder.path))
        is_empty = True
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    is_empty = False
                    self._sort_in(entry, inner)
        except OSError as error:
            raise _unreadable(error, folder.path) from error
        if is_empty:
            self._empty.append(folder.name or ".")

    def _sort_in(self, entry: os.DirEntry[str], parent: _Folder) -> None:
        name = check_entry_path(f"{parent.name}/{entry.name}" if parent.name else entry.name)
        if entry.is_symlink():
            self._follow(entry.path, name, parent)
        elif entry.is_dir(follow_symlinks=False):
            self._push(_Folder(entry.path, name, parent.chain))
        else:
            found = entry.stat(follow_symlinks=False)
            if not stat_bits.S_ISREG(found.st_mode):
                raise _special(entry.path, found.st_mode)
            self._add(_tree_file(name, entry.path, found))

    def _follow(self, link: str, name: str, parent: _Folder) -> None:
        target = os.path.realpath(link)
        if not target.startswith(self._inside) and target != self._root:
            raise _bad_link(link, target, "leaves the folder that is being added")
        try:
            found = os.stat(target)
        except FileNotFoundError as error:
            raise _bad_link(link, target, "is broken") from error
        except OSError as error:
            raise _bad_link(link, target, f"can't be followed ({error.strerror})") from error
        if stat_bits.S_ISREG(found.st_mode):
            self._add(_tree_file(name, target, found))
        elif not stat_bits.S_ISDIR(found.st_mode):
            raise _special(link, found.st_mode)
        elif target in parent.chain:
            raise _bad_link(link, target, "leads back to a folder it lies in")
        else:
            self._push(_Folder(target, name, parent.chain))

    def _add(self, file: TreeFile) -> None:
        if len(self._files) >= self._files_max:
            raise LimitExceeded(
                f"{self._root!r} holds more than {self._files_max:,} files.",
                hint="Split it, or pack small files together.",
            )
        self._files.append(file)


def _tree_file(name: str, path: str, found: os.stat_result) -> TreeFile:
    return TreeFile(
        name, path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev
    )


def _special(path: str, mode: int) -> InvalidManifest:
    kinds = {stat_bits.S_IFSOCK: "a socket", stat_bits.S_IFIFO: "a pipe", stat_bits.S_IFBLK: "a device"}
    kind = kinds.get(stat_bits.S_IFMT(mode), "a device")
    return InvalidManifest(
        f"{path!r} is {kind} and can't be stored.", hint="Remove it or leave it out.", details={"path": path}
    )


def _bad_link(link: str, target: str, problem: str) -> InvalidManifest:
    return InvalidManifest(
        f"Symbolic link {link!r} -> {target!r} {problem}.",
        hint="Replace the link with a copy, or add its target by itself.",
        details={"path": link, "target": target},
    )


def _unreadable(error: OSError, path: str) -> WeighbridgeError:
    name = os.fspath(error.filename or path)
    if isinstance(error, FileNotFoundError):
        return SourceChanged(f"{name!r} vanished while its folder was read.", hint="Add the folder again.")
    return InvalidInput(f"{name!r} can't be read: {error.strerror}.", hint="Check its permissions.")
