"""Remembers the digest of each local file by its stat, so that an unchanged file isn't read again.

A cache and nothing more: losing it costs time. A file it can't be sure of is simply not in the answer.
The rule of trust is git's for racily clean files; see docs/design/0004-blobs.md.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from weighbridge.domain.names import is_digest

ROWS_MAX: Final = 1_000_000
RACY_MARGIN_NS: Final = 20_000_000
"""Two ticks of the slowest common kernel clock: within it, two writes can carry one timestamp."""
COARSE_MARGIN_NS: Final = 2_100_000_000
"""The same where timestamps are whole milliseconds or coarser (FAT: 2 s)."""

_FORMAT: Final = 1
_BATCH: Final = 500
_BUSY_TIMEOUT_S: Final = 0.5
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Failures that say nothing about the file's content; after any other the file is dropped."""
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS digests (
    path TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, device INTEGER NOT NULL, digest BLOB NOT NULL, stored_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS digests_by_age ON digests (stored_at);
PRAGMA user_version = {_FORMAT};
"""


class LocalFile(Protocol):
    """A local file as one `stat` saw it; sdk.tree.TreeFile is one."""

    @property
    def path(self) -> str:
        """Absolute local path."""
        ...

    @property
    def size_bytes(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def ctime_ns(self) -> int: ...
    @property
    def inode(self) -> int: ...
    @property
    def device(self) -> int: ...


def settle_s(files: Iterable[LocalFile], *, now_ns: int) -> float:
    """Seconds to wait before reading, so that files written just now can be remembered; at most 0.02.

    A file on coarse timestamps, or with one in the future, isn't waited for.
    """
    newest = max((max(file.mtime_ns, file.ctime_ns) for file in files), default=0)
    wait_ns = newest + RACY_MARGIN_NS + 1 - now_ns
    return wait_ns / 1e9 if 0 < wait_ns <= RACY_MARGIN_NS + 1 else 0.0


def is_racy(file: LocalFile, *, read_after_ns: int) -> bool:
    """Whether a write after the file was read could have left its stat as it was.

    It could if the last change is not older, by the granularity of timestamps, than the moment the read began.
    """
    newest = max(file.mtime_ns, file.ctime_ns)
    is_coarse = file.mtime_ns % 1_000_000 == 0
    return newest + (COARSE_MARGIN_NS if is_coarse else RACY_MARGIN_NS) >= read_after_ns


class DigestCache:
    """Digests by file, in a small SQLite file that any number of threads and processes may share.

    is_local: whether `path` is on a local file system; only there is a write-ahead log used. A cache that is
    locked, damaged or can't be made finds nothing and stores nothing; a damaged one is removed and begun again.
    """

    def __init__(self, path: Path, *, is_local: bool = True, rows_max: int = ROWS_MAX) -> None:
        self._path = os.path.abspath(path)
        self._is_local = is_local
        self._rows_max = rows_max
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def lookup(self, files: Iterable[LocalFile]) -> dict[str, str]:
        """Path -> digest of each file that is known and has not changed since."""
        by_path = {file.path: file for file in files}
        found: dict[str, str] = {}
        paths = list(by_path)
        with self._lock, self._guarded():
            connection = self._open()
            for start in range(0, len(paths), _BATCH):
                part = paths[start : start + _BATCH]
                marks = ",".join("?" * len(part))
                rows = connection.execute(
                    "SELECT path, size_bytes, mtime_ns, ctime_ns, inode, device, digest FROM digests"
                    f" WHERE path IN ({marks})",
                    part,
                )
                for path, *state, digest in rows:
                    if state == _state(by_path[path]) and isinstance(digest, bytes) and len(digest) == 32:
                        found[path] = digest.hex()
        return found

    def store(self, digests: Iterable[tuple[LocalFile, str]], *, read_after_ns: int) -> int:
        """Remember digests; return how many. Those of racy files are left out: they could not be trusted.

        read_after_ns: a moment (`time.time_ns()`) before the first of the files was read, but after its stat
        was taken.
        """
        now_s = int(time.time())
        rows = [
            (file.path, *_state(file), bytes.fromhex(digest), now_s)
            for file, digest in digests
            if is_digest(digest) and not is_racy(file, read_after_ns=read_after_ns)
        ]
        stored = 0
        if not rows:
            return stored
        with self._lock, self._guarded():
            connection = self._open()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
                self._prune(connection)
            stored = len(rows)
        return stored

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._drop_connection()

    def _prune(self, connection: sqlite3.Connection) -> None:
        (count,) = connection.execute("SELECT count(*) FROM digests").fetchone()
        if count > self._rows_max:
            connection.execute(
                "DELETE FROM digests WHERE path IN (SELECT path FROM digests ORDER BY stored_at LIMIT ?)",
                (count - self._rows_max,),
            )

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Contain every failure of the cache: being without it is always right."""
        try:
            yield
        except (OSError, OverflowError, UnicodeError):
            self._drop_connection()  # no folder for it, or a path or number that SQLite can't hold
        except sqlite3.DatabaseError as error:
            self._drop_connection()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _PASSING:
                self._remove()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        self._connection = None  # after a fork the parent's connection must not be touched, not even closed
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute(f"PRAGMA journal_mode = {'WAL' if self._is_local else 'TRUNCATE'}")
            connection.execute("PRAGMA synchronous = OFF")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _FORMAT):
                raise sqlite3.DatabaseError("another format")
            if version == 0:
                connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._pid == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(self._path + suffix)


def _state(file: LocalFile) -> list[int]:
    return [file.size_bytes, file.mtime_ns, file.ctime_ns, file.inode, file.device]
