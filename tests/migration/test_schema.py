"""Every way to the schema leads to the same one, and a newer one is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect

from weighbridge.errors import SchemaTooNew, StorageError
from weighbridge.storage.metadata import schema
from weighbridge.storage.metadata.database import Database
from weighbridge.storage.metadata.tables import metadata


def described(conn: Connection) -> dict[str, Any]:
    """Tables, columns, keys, constraints and indexes, in no order."""
    looked = inspect(conn)
    found: dict[str, Any] = {}
    for table in sorted(looked.get_table_names()):
        if table == "alembic_version":
            continue
        columns = looked.get_columns(table)
        found[table] = {
            "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in columns],
            "primary key": looked.get_pk_constraint(table),
            "foreign keys": sorted(map(str, looked.get_foreign_keys(table))),
            "unique": sorted(map(str, looked.get_unique_constraints(table))),
            "indexes": sorted(map(str, looked.get_indexes(table))),
            "numbered once": "AUTOINCREMENT"
            in str(
                conn.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).scalar_one()
            ).upper(),
        }
    return found


def opened(path: Path) -> Database:
    return Database(path)


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    database = opened(tmp_path / "a.db")
    schema.prepare(database)
    with database.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew) as caught:
        schema.prepare(database)
    assert "9999" in caught.value.message
    assert caught.value.hint
    database.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"certainly not a database, but long enough to look at" * 100)
    with pytest.raises(StorageError, match="not a Weighbridge database"):
        schema.prepare(opened(tmp_path / "a.db"))


def test_new_and_migrated_databases_have_the_schema_of_the_tables(tmp_path: Path) -> None:
    new, migrated = opened(tmp_path / "new.db"), opened(tmp_path / "migrated.db")
    schema.prepare(new)
    schema.upgrade(migrated)
    with new.read() as left, migrated.read() as right:
        assert described(left) == described(right)
        assert set(described(left)) == set(metadata.tables)
        assert schema.revision(left) == schema.revision(right) == schema.HEAD
    new.close()
    migrated.close()


def test_the_migrations_are_the_known_revisions_in_order() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == schema.REVISIONS


def test_preparing_again_changes_nothing_and_loads_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from weighbridge.storage.metadata import schema\n"
        "from weighbridge.storage.metadata.database import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "schema.prepare(database); schema.prepare(database); database.close()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.db")], check=True, env=_environ())


def test_processes_that_open_a_new_home_at_once_all_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from weighbridge.bootstrap import open_home\n"
        "sys.stdin.read()\n"
        "services = open_home(Path(sys.argv[1]), user='a', entity='a', organization='o')\n"
        "print(len(services.projects.list_projects(__import__('weighbridge.services.access').services.access"
        ".Actor('a')).projects)); services.close()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "home")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environ(),
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    answers = [process.communicate(timeout=60)[0].strip() for process in started]
    assert answers == ["0"] * len(started)
    assert [process.returncode for process in started] == [0] * len(started)


def _environ() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
