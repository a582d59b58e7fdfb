"""What the metadata store says when the disk is full, the file is locked, read-only, damaged or gone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.run_world import World, ref, steps
from weighbridge.errors import StorageBusy, StorageError, StorageFull
from weighbridge.services.history import SMALL_ROWS
from weighbridge.storage.metadata import schema
from weighbridge.storage.metadata.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "weighbridge.db", busy_timeout_s=0.05)
    schema.prepare(made)
    yield made
    made.close()


@pytest.fixture
def locked(database: Database) -> Iterator[sqlite3.Connection]:
    """Another process's open write transaction."""
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_a_locked_database_is_busy_and_may_be_tried_again(
    database: Database, locked: sqlite3.Connection
) -> None:
    with pytest.raises(StorageBusy) as caught, database.write():
        pass
    assert str(database.path) in caught.value.message
    assert caught.value.retryable
    with database.read() as conn:
        assert schema.revision(conn) == schema.HEAD
    locked.execute("ROLLBACK")
    with database.write():
        pass


def test_a_full_disk_is_told_and_what_was_stored_stays(database: Database) -> None:
    insert = "INSERT INTO audit_events (at, actor, action, subject, details) VALUES (0, '', '', ?, '')"
    with database.write() as conn:
        conn.exec_driver_sql(insert, ("small",))
    with pytest.raises(StorageFull) as caught, database.write() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        conn.exec_driver_sql(insert, ("x" * 1_000_000,))
    assert caught.value.retryable
    with database.write() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count = 1000000")
        conn.exec_driver_sql(insert, ("again",))
        subjects = conn.exec_driver_sql("SELECT subject FROM audit_events ORDER BY 1").scalars().all()
    assert subjects == ["again", "small"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_file_is_named(database: Database) -> None:
    database.close()
    database.path.chmod(0o400)
    with pytest.raises(StorageError, match="read-only"), database.write():
        pass


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"), Database(tmp_path / "no" / "a.db").read():
        pass


def test_a_damaged_file_is_named(database: Database) -> None:
    database.close()
    size = database.path.stat().st_size
    with database.path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (size - 4_096))
    with pytest.raises(StorageError, match="damaged"), database.read() as conn:
        conn.exec_driver_sql("SELECT * FROM audit_events").all()


def test_a_blob_that_is_missing_is_named_when_history_is_read(tmp_path: Path) -> None:
    from weighbridge.domain.run import RunState
    from weighbridge.errors import BlobNotFound
    from weighbridge.wire.history import ReadSeries
    from weighbridge.wire.runs import FinishItem

    world = World(tmp_path)
    world.start()
    world.send(steps(0, SMALL_ROWS), FinishItem(RunState.FINISHED, 0, 1.0))
    for blob in list(world.transport.blobs.iter_blobs()):
        world.transport.blobs.delete(blob.digest)
    with pytest.raises(BlobNotFound):
        world.history.series(ReadSeries(run=ref(), names=("loss",)))
    assert world.get().row_count == SMALL_ROWS
    world.close()
