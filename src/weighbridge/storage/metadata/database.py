"""Connections and transactions of the metadata store. No tables, no queries.

One writer at a time by BEGIN IMMEDIATE; readers see a snapshot. A connection never crosses a fork: the child
opens its own, and what it inherited is kept and never touched.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from weighbridge.errors import StorageError
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.dialect import BUSY_TIMEOUT_S, prepare_sqlite, translate
from weighbridge.storage.metadata.lease import HostLease

POOL_SIZE: Final = 8
POOL_OVERFLOW: Final = 56
_WRITE: Final = "weighbridge_write"


def connection(tx: Transaction) -> Connection:
    """The SQL connection behind a transaction; for storage only."""
    if not isinstance(tx, Connection):
        raise TypeError(f"not a transaction of this store: {type(tx).__name__}")
    return tx


class _Current(threading.local):
    """The open block of this thread, which nested blocks join."""

    connection: Connection | None = None
    is_write: bool = False


class _Opened:
    """The engines of one process."""

    def __init__(self, path: Path, *, is_network: bool, busy_timeout_s: float) -> None:
        self.pid = os.getpid()
        self.current = _Current()
        self.lease = HostLease(path.with_name("host.lease")) if is_network else None
        self.reader = _engine(path, is_network=is_network, busy_timeout_s=busy_timeout_s)
        self.writer = self.reader.execution_options(**{_WRITE: True})


# What a forked child inherited: kept alive, since closing such a connection would touch the parent's files.
_INHERITED: list[_Opened] = []


def _engine(path: Path, *, is_network: bool, busy_timeout_s: float) -> Engine:
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, cached_statements=256
        ),
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=busy_timeout_s,
        pool_reset_on_return=None,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(driver: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        prepare_sqlite(driver, is_network=is_network, busy_timeout_s=busy_timeout_s)

    @event.listens_for(engine, "begin")
    def _on_begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get(_WRITE) else "BEGIN")

    return engine


class Database:
    """One SQLite file and its transactions; a UnitOfWork. Opens nothing until the first block.

    `is_network`: the file is on a file system that hosts share, so no WAL, no mmap, and a lease per host.
    `busy_timeout_s`: how long a block waits for another process before StorageBusy.
    """

    def __init__(
        self, path: Path, *, is_network: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._is_network = is_network
        self._state: _Opened | None = None
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot until the block ends; inside another block of this thread, that block's."""
        opened = self._opened()
        outer = opened.current.connection
        if outer is not None:
            yield outer
            return
        with self._block(opened, opened.reader) as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The only writer until the block ends; commits at its end, rolls back when it raises."""
        opened = self._opened()
        outer = opened.current.connection
        if outer is not None:
            if not opened.current.is_write:
                raise StorageError(
                    "A write block was opened inside a read block.", hint="Open the write block first."
                )
            yield outer
            return
        with self._block(opened, opened.writer) as conn:
            yield conn

    def close(self) -> None:
        """Close idle connections; closing twice is a no-op, and a later block opens anew."""
        with self._lock:
            state, self._state = self._state, None
        if state is None:
            return
        if state.pid != os.getpid():
            _INHERITED.append(state)
            return
        state.reader.dispose()

    @contextmanager
    def _block(self, opened: _Opened, engine: Engine) -> Iterator[Connection]:
        current = opened.current
        if opened.lease is not None:
            opened.lease.hold()
        try:
            with engine.begin() as conn:
                current.connection, current.is_write = conn, engine is opened.writer
                yield conn
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise translate(error, name=str(self._path)) from error
        finally:
            current.connection, current.is_write = None, False

    def _opened(self) -> _Opened:
        state = self._state
        if state is not None and state.pid == os.getpid():
            return state
        if state is not None:
            # A forked child: no lock of the parent may be trusted, nor any connection.
            _INHERITED.append(state)
            self._lock = threading.Lock()
            self._state = None
        with self._lock:
            if self._state is None:
                self._state = _Opened(
                    self._path, is_network=self._is_network, busy_timeout_s=self._busy_timeout_s
                )
            return self._state
