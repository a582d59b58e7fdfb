"""The few things that differ between SQLite and PostgreSQL: pragmas, error codes. No table and no query."""

from __future__ import annotations

import errno
import re
import sqlite3
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, Table, TextClause, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from weighbridge.errors import StorageBusy, StorageError, StorageFull

BUSY_TIMEOUT_S: Final = 30.0
REGEX_SUBJECT_MAX: Final = 4_096
"""Longest text a `$regex` is tried on; Python's `re` can take exponential time, so both sides are bounded."""

_MMAP_BYTES: Final = 256 * 1024 * 1024
_CACHE_KIB: Final = 16 * 1024
_FREE_PAGES_MAX: Final = 256
_PAGES_AT_ONCE: Final = 4_096
"""At most so many pages (16 MiB) are given back in one transaction, so that other writers wait little."""


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regexp(pattern: str, value: object) -> bool:
    """`value REGEXP pattern` for SQLite: unanchored, on the first REGEX_SUBJECT_MAX characters."""
    return isinstance(value, str) and _compiled(pattern).search(value[:REGEX_SUBJECT_MAX]) is not None


def prepare_sqlite(driver: sqlite3.Connection, *, is_network: bool, busy_timeout_s: float) -> None:
    """Set up a fresh connection: journal, durability, foreign keys, cache, the REGEXP function.

    On a network file system neither WAL (shared memory) nor mmap works between hosts, so both are off there.
    """
    run: Callable[[str], object] = driver.execute
    run(f"PRAGMA busy_timeout={int(busy_timeout_s * 1000)}")
    if driver.execute("PRAGMA page_count").fetchone()[0] == 0:
        # It takes hold in a new file only; in any other it would wait for the writer to no effect.
        run("PRAGMA auto_vacuum=INCREMENTAL")
    if is_network:
        run("PRAGMA journal_mode=DELETE")
        run("PRAGMA mmap_size=0")
        run("PRAGMA synchronous=FULL")
    else:
        _enter_wal(driver, timeout_s=busy_timeout_s)
        run("PRAGMA synchronous=NORMAL")
        run(f"PRAGMA mmap_size={_MMAP_BYTES}")
    run("PRAGMA foreign_keys=ON")
    run(f"PRAGMA cache_size=-{_CACHE_KIB}")
    run("PRAGMA temp_store=MEMORY")
    driver.create_function("regexp", 2, _regexp, deterministic=True)


def _enter_wal(driver: sqlite3.Connection, *, timeout_s: float) -> None:
    """Switch to WAL. SQLite does not wait for the lock this takes on a new file, so wait here."""
    deadline = time.monotonic() + timeout_s
    while driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            driver.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def give_back_space(sql: Connection) -> None:
    """Cut pages that hold nothing off the file; without it a folded history would take its space twice."""
    if sql.dialect.name != "sqlite":
        return
    free = int(sql.exec_driver_sql("PRAGMA freelist_count").scalar_one())
    if free > _FREE_PAGES_MAX:
        driver: sqlite3.Connection | None = sql.connection.driver_connection
        assert driver is not None
        # The driver steps a statement without columns once, which gives back one page whatever is asked for.
        for _ in range(min(free, _PAGES_AT_ONCE)):
            driver.execute("PRAGMA incremental_vacuum(1)")


def upsert(table: Table, *, keys: tuple[str, ...], columns: tuple[str, ...]) -> TextClause:
    """An INSERT of `keys` and `columns` that overwrites `columns` where the keys exist.

    Text, because SQLAlchemy spells ON CONFLICT per database while SQLite and PostgreSQL read the same SQL.
    """
    quote = '"{}"'.format
    names = (*keys, *columns)
    updates = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in columns)
    return text(
        f"INSERT INTO {table.name} ({', '.join(map(quote, names))}) "
        f"VALUES ({', '.join(f':{name}' for name in names)}) "
        f"ON CONFLICT ({', '.join(map(quote, keys))}) DO UPDATE SET {updates}"
    )


_SQLITE_PRIMARY: Final[dict[int, tuple[type[StorageError], str, str]]] = {
    sqlite3.SQLITE_BUSY: (
        StorageBusy,
        "is held by another process",
        "Try again; if it stays so, find the process that keeps it open.",
    ),
    sqlite3.SQLITE_LOCKED: (StorageBusy, "is locked by another connection", "Try again."),
    sqlite3.SQLITE_FULL: (
        StorageFull,
        "cannot grow: the disk is full",
        "Free space; nothing that was logged is lost.",
    ),
    sqlite3.SQLITE_READONLY: (StorageError, "is read-only", "Make the folder and its files writable."),
    sqlite3.SQLITE_CANTOPEN: (
        StorageError,
        "cannot be opened",
        "Check that the folder exists and may be written.",
    ),
    sqlite3.SQLITE_PERM: (StorageError, "may not be accessed", "Check the permissions of the folder."),
    sqlite3.SQLITE_CORRUPT: (
        StorageError,
        "is damaged",
        "Run `weighbridge doctor`; restore the file from a backup.",
    ),
    sqlite3.SQLITE_NOTADB: (
        StorageError,
        "is not a Weighbridge database",
        "Choose another home, or restore the file.",
    ),
    sqlite3.SQLITE_IOERR: (
        StorageError,
        "could not be read or written",
        "Check the disk and the system log.",
    ),
}


def translate(error: SQLAlchemyError | sqlite3.Error | OSError, *, name: str) -> StorageError:
    """The StorageError that a driver's error stands for; the one place where driver errors are read."""
    origin: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, OSError):
        if origin.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageFull(
                f"The store {name} cannot grow: no space is left.",
                hint="Free space; what waits is stored then.",
            )
        return StorageError(
            f"The store {name} cannot be used: {origin.strerror}.", hint="Check the folder's permissions."
        )
    code = getattr(origin, "sqlite_errorcode", None)
    if isinstance(code, int) and (known := _SQLITE_PRIMARY.get(code & 0xFF)) is not None:
        kind, problem, hint = known
        return kind(f"The database {name} {problem}.", hint=hint, details={"sqlite_code": code})
    return StorageError(
        f"The database {name} refused a statement: {type(origin or error).__name__}: {origin or error}",
        hint="This is a bug in Weighbridge, or the file was changed by hand; run `weighbridge doctor`.",
        details={"sqlite_code": code if isinstance(code, int) else 0},
    )
