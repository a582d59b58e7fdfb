"""Brings a database to the schema this code knows, or refuses it. No queries on the data itself.

A current database costs one look at its version table. A new one is built from tables.py and stamped; an
older one is migrated by Alembic, imported only then. tests/migration holds the two ways to the same schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from weighbridge.errors import SchemaTooNew
from weighbridge.storage.metadata.database import Database
from weighbridge.storage.metadata.tables import metadata

REVISIONS: Final = ("0001",)
"""Every revision this code knows, oldest first; the last one is what tables.py describes."""

HEAD: Final = REVISIONS[-1]
MIGRATIONS: Final = Path(__file__).parent / "migrations"

_VERSION_TABLE: Final = "alembic_version"
_READ_VERSION: Final = text(f"SELECT version_num FROM {_VERSION_TABLE}")
_CREATE_VERSION: Final = text(
    f"CREATE TABLE {_VERSION_TABLE} ("
    "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_WRITE_VERSION: Final = text(f"INSERT INTO {_VERSION_TABLE} (version_num) VALUES (:version)")


def prepare(database: Database) -> None:
    """Make the schema current; safe from several processes at once. Raises SchemaTooNew, StorageError."""
    with database.read() as conn:
        found = revision(conn)
    if found == HEAD:
        return
    if found is not None:
        _check_known(found, database)
        upgrade(database)
        return
    with database.write() as conn:
        found = revision(conn)  # Another process may have been first.
        if found is None:
            create(conn)
    if found is not None:
        prepare(database)


def revision(conn: Connection) -> str | None:
    """The revision a database is stamped with, or None for an empty one."""
    if not inspect(conn).has_table(_VERSION_TABLE):
        return None
    row = conn.execute(_READ_VERSION).first()
    return None if row is None else str(row.version_num)


def create(conn: Connection) -> None:
    """Build the newest schema in an empty database and stamp it."""
    metadata.create_all(conn, checkfirst=False)
    conn.execute(_CREATE_VERSION)
    conn.execute(_WRITE_VERSION, {"version": HEAD})


def upgrade(database: Database, *, target: str = HEAD) -> None:
    """Run the migrations up to `target`, all in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.write() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, target)


def _check_known(found: str, database: Database) -> None:
    if found not in REVISIONS:
        raise SchemaTooNew(
            f"The database {database.path} has schema {found!r}; this version of Weighbridge knows {HEAD!r}.",
            hint="Upgrade weighbridge, or choose another home.",
            details={"found": found, "known": HEAD},
        )
