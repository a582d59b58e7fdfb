"""Homes that cannot be used, or not now: training goes on where waiting helps, and is told at once where not."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

import weighbridge
from tests.fault.processes import run as run_script
from tests.fault.processes import small_disk, sync, sync_all, values
from weighbridge import Api
from weighbridge.errors import SchemaTooNew, StorageError
from weighbridge.sdk.adopt import adopt_orphans, statuses
from weighbridge.sdk.client import client_for
from weighbridge.storage.metadata.lease import Holder

TRAIN = (
    "import weighbridge\n"
    "run = weighbridge.init(project='p', id='one')\n"
    "for index in range(200): run.log({'value': index})\n"
    "run.finish()\n"
    "print('trained')\n"
)
SHORT = {"WEIGHBRIDGE_FINISH_TIMEOUT_S": "0.3", "WEIGHBRIDGE_SHIPPER": "off"}


def test_a_home_that_is_a_file_is_said_once_and_training_goes_on(fresh_surroundings: Path) -> None:
    fresh_surroundings.parent.mkdir(parents=True, exist_ok=True)
    fresh_surroundings.write_text("not a folder")
    done = run_script(TRAIN, env=SHORT)
    assert (done.code, done.out) == (0, "trained\n"), done.err
    assert "Traceback" not in done.err
    assert done.err.count("The run goes on and writes as soon as it can") == 1
    assert "could not be written and are lost" in done.err
    assert fresh_surroundings.read_text() == "not a folder"


def test_a_read_only_home_is_said_and_training_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        home = disk / "home"
        weighbridge.init(project="p", id="before", dir=None, settings={"home": home}).finish()
        client_for(weighbridge.Settings(home=home)).close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = run_script(TRAIN, env={**SHORT, "WEIGHBRIDGE_HOME": str(home)})
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert (done.code, done.out) == (0, "trained\n"), done.err
    assert "Traceback" not in done.err
    assert done.err.count("The run goes on and writes as soon as it can") == 1


def test_without_HOME_the_users_own_folder_is_found() -> None:
    """`Path.expanduser` falls back to the password file; nothing here may need the variable."""
    done = run_script(
        "import os\n"
        "os.environ.pop('HOME', None)\n"
        "from weighbridge.settings import resolve\n"
        "print(resolve(environ={}).home)\n"
    )
    assert done.code == 0, done.err
    assert done.out.strip().endswith(".weighbridge")


def test_a_home_of_a_newer_version_is_refused_at_once(fresh_surroundings: Path) -> None:
    fresh_surroundings.mkdir(parents=True)
    (fresh_surroundings / "HOME.json").write_text('{"format": 99}')
    with pytest.raises(SchemaTooNew, match="99"):
        weighbridge.init(project="p")
    assert weighbridge.run is None
    with pytest.raises(SchemaTooNew):
        Api().runs("p")


def test_a_damaged_database_is_named_and_the_spool_keeps_everything(
    fresh_surroundings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weighbridge.init(project="p", id="before").finish()
    client_for().close()
    database = fresh_surroundings / "weighbridge.db"
    shutil.copy(database, fresh_surroundings / "backup.db")
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    database.write_bytes(b"rubbish" * 1_000)
    capsys.readouterr()
    done = run_script(TRAIN, env=SHORT)
    assert (done.code, done.out) == (0, "trained\n"), done.err
    assert "is not a Weighbridge database" in done.err
    assert "weighbridge sync" in done.err and "Traceback" not in done.err
    with pytest.raises(StorageError, match="is not a Weighbridge database"):
        Api().run("p/before")
    shutil.copy(fresh_surroundings / "backup.db", database)
    sync_all()
    assert values("p/one") == list(range(200))
    assert Api().run("p/one").state == "finished"


class Locked:
    """Holds the database's write lock, as a long transaction of another program does."""

    def __init__(self, home: Path) -> None:
        self._driver = sqlite3.connect(home / "weighbridge.db", isolation_level=None, check_same_thread=False)
        self._driver.execute("BEGIN IMMEDIATE")

    def free(self) -> None:
        self._driver.rollback()
        self._driver.close()


def test_a_database_locked_for_a_while_delays_only_the_end(fresh_surroundings: Path) -> None:
    run = weighbridge.init(project="p", id="one", settings={"shipper": "off"})
    locked = Locked(fresh_surroundings)
    for index in range(1_000):
        run.log({"value": index})
    freeing = threading.Timer(0.5, locked.free)
    freeing.start()
    run.finish()
    freeing.join()
    assert statuses(client_for()) == []
    assert values("p/one") == list(range(1_000))


def test_a_database_locked_too_long_leaves_the_run_to_sync(
    fresh_surroundings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_FINISH_TIMEOUT_S", "0.5")
    run = weighbridge.init(project="p", id="late", settings={"shipper": "off"})
    locked = Locked(fresh_surroundings)
    for index in range(1_000):
        run.log({"value": index})
    run.finish()
    told = capsys.readouterr().err
    assert "is held by another process" in told and "weighbridge sync" in told
    (left,) = statuses(client_for())
    assert not left.is_live
    (tried,) = sync()
    assert tried.error is not None
    locked.free()
    (done,) = adopt_orphans(client_for())
    assert done.error is None and done.shipped_bytes > 0
    assert values("p/late") == list(range(1_000))
    assert Api().run("p/late").state == "finished"


def test_a_database_locked_at_init_does_not_stop_training(
    fresh_surroundings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_FINISH_TIMEOUT_S", "0.5")
    weighbridge.init(project="p", id="before").finish()
    client_for().close()
    locked = Locked(fresh_surroundings)
    run = weighbridge.init(project="p", id="one", config={"lr": 1}, settings={"shipper": "off"})
    run.log({"value": 0})
    assert "could not be registered yet" in capsys.readouterr().err
    locked.free()
    run.finish()
    assert values("p/one") == [0]
    assert Api().run("p/one").config["lr"] == 1


def test_a_network_home_has_a_rollback_journal_and_one_host(
    fresh_surroundings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_NETWORK_HOME", "yes")
    monkeypatch.setenv("WEIGHBRIDGE_SHIPPER", "off")
    monkeypatch.setenv("WEIGHBRIDGE_FINISH_TIMEOUT_S", "0.3")
    with weighbridge.init(project="p", id="here") as run:
        run.log({"value": 1})
    lease = fresh_surroundings / "host.lease"
    assert msgspec.json.decode(lease.read_bytes(), type=Holder).hostname == socket.gethostname()
    driver = sqlite3.connect(fresh_surroundings / "weighbridge.db")
    assert driver.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    driver.close()
    client_for().close()

    lease.write_bytes(msgspec.json.encode(Holder("other-host", "other-boot", 1)))
    other = weighbridge.init(project="p", id="there")
    for index in range(100):
        other.log({"value": index})
    other.finish()
    told = capsys.readouterr().err
    assert "in use by host 'other-host'" in told and "weighbridge sync" in told
    (left,) = statuses(client_for())
    assert left.size_bytes > 0

    an_hour_ago = lease.stat().st_mtime - 3_600
    os.utime(lease, (an_hour_ago, an_hour_ago))
    sync_all()
    assert values("p/there") == list(range(100))
    assert Api().run("p/there").state == "finished"
