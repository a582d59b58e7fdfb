"""Asks the database whether it is whole. It changes nothing."""

from __future__ import annotations

from typing import Final

from weighbridge.storage.metadata.database import Database
from weighbridge.storage.metadata.schema import revision

PROBLEMS_MAX: Final = 20


def problems(database: Database) -> tuple[str, ...]:
    """What SQLite's own checks find: damaged pages and indexes, then rows that point nowhere; at most 20 each.

    Reads the whole file. Raises StorageError where it cannot be read at all.
    """
    with database.read() as conn:
        found = [
            str(row[0]) for row in conn.exec_driver_sql(f"PRAGMA integrity_check({PROBLEMS_MAX})").fetchall()
        ]
        dangling = conn.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(PROBLEMS_MAX)
    whole = [] if found == ["ok"] else found
    return (*whole, *(f"row {row[1]} of {row[0]} points to no row of {row[2]}" for row in dangling))


def schema_version(database: Database) -> str:
    """The revision of the schema, empty for an empty database."""
    with database.read() as conn:
        return revision(conn) or ""
