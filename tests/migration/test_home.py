"""A home as a folder: made once, its format checked, its file system looked at, one host at a time where it must be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from weighbridge.bootstrap import HOME_FORMAT, open_home
from weighbridge.errors import SchemaTooNew, StorageBusy, StorageError
from weighbridge.storage.metadata.database import Database
from weighbridge.storage.metadata.filesystem import filesystem_type, is_network_type, is_on_network
from weighbridge.storage.metadata.lease import LEASE_S, Holder, HostLease

HERE = Holder("here", "boot-1", 1)
THERE = Holder("there", "boot-2", 1)


def open_it(home: Path, *, network_home: str = "auto") -> None:
    open_home(home, user="ada", entity="ada", organization="o", network_home=network_home).close()


def test_a_home_of_a_newer_format_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "HOME.json").write_text(f'{{"format": {HOME_FORMAT + 1}, "more": true}}')
    with pytest.raises(SchemaTooNew) as caught:
        open_it(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert not (tmp_path / "weighbridge.db").exists()


@pytest.mark.parametrize("text", ["", "{}", "no", '{"format": "x"}'])
def test_a_damaged_marker_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "HOME.json").write_text(text)
    with pytest.raises(StorageError, match=r"HOME\.json"):
        open_it(tmp_path)


def test_a_home_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError) as caught:
        open_it(tmp_path / "file" / "home")
    assert "WEIGHBRIDGE_HOME" in caught.value.hint


def test_a_new_home_has_its_layout_and_opens_again(tmp_path: Path) -> None:
    for _ in range(2):
        open_it(tmp_path / "home")
    names = {path.name for path in (tmp_path / "home").iterdir()}
    assert names >= {"HOME.json", "weighbridge.db", "blobs", "spool", "cache"}
    assert not [name for name in names if name.startswith("HOME.json.")]


def test_opening_a_home_loads_neither_alembic_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from weighbridge.bootstrap import open_home\n"
        "open_home(Path(sys.argv[1]), user='a', entity='a', organization='o').close()\n"
        "assert not {'alembic', 'numpy', 'pyarrow'} & set(sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "home")], check=True, env=env)


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "lustre", "gpfs", "beegfs", "fuse.sshfs", "fuse", "9p"]
)
def test_network_file_systems_are_known(kind: str) -> None:
    assert is_network_type(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "apfs", "fuse.fuse-overlayfs"])
def test_local_file_systems_are_known(kind: str) -> None:
    assert not is_network_type(kind)


def test_the_deepest_mount_that_holds_the_folder_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n"
        "server:/x /data nfs4 rw 0 0\n"
        "tmp /data/fast tmpfs rw 0 0\n"
        "server:/y /with\\040space cifs rw 0 0\n"
        "broken line\n"
    )
    assert filesystem_type(Path("/database"), mounts=mounts) == "ext4"
    assert is_on_network(Path("/data/home"), mounts=mounts)
    assert is_on_network(Path("/data"), mounts=mounts)
    assert not is_on_network(Path("/data/fast/home"), mounts=mounts)
    assert is_on_network(Path("/with space/home"), mounts=mounts)
    assert filesystem_type(Path("/x"), mounts=tmp_path / "missing") is None


def test_a_home_said_to_be_on_a_network_uses_no_wal(tmp_path: Path) -> None:
    open_it(tmp_path, network_home="yes")
    assert (tmp_path / "host.lease").exists()
    assert not (tmp_path / "weighbridge.db-wal").exists()


# ------------------------------------------------------------------------------------------------- lease


def age(path: Path, seconds: float) -> None:
    at = path.stat().st_mtime - seconds
    os.utime(path, (at, at))


def test_another_host_is_refused_and_told_which_holds_the_home(tmp_path: Path) -> None:
    HostLease(tmp_path / "host.lease", holder=HERE).hold()
    with pytest.raises(StorageBusy) as caught:
        HostLease(tmp_path / "host.lease", holder=THERE).hold()
    assert "'here'" in caught.value.message
    assert caught.value.retryable
    assert [path.name for path in tmp_path.iterdir()] == ["host.lease"]


def test_the_same_host_started_again_is_another_holder(tmp_path: Path) -> None:
    HostLease(tmp_path / "host.lease", holder=HERE).hold()
    with pytest.raises(StorageBusy):
        HostLease(tmp_path / "host.lease", holder=Holder("here", "boot-9", 1)).hold()


def test_processes_of_one_host_share_the_lease(tmp_path: Path) -> None:
    HostLease(tmp_path / "host.lease", holder=HERE).hold()
    HostLease(tmp_path / "host.lease", holder=Holder("here", "boot-1", 2)).hold()


def test_an_expired_lease_is_taken_over_and_its_holder_told(tmp_path: Path) -> None:
    first = HostLease(tmp_path / "host.lease", holder=HERE)
    first.hold()
    age(tmp_path / "host.lease", LEASE_S - 2)
    with pytest.raises(StorageBusy):
        HostLease(tmp_path / "host.lease", holder=THERE).hold()
    age(tmp_path / "host.lease", 4)
    HostLease(tmp_path / "host.lease", holder=THERE).hold()
    first.release()
    with pytest.raises(StorageBusy, match="'there'"):
        first.hold()
    assert [path.name for path in tmp_path.iterdir()] == ["host.lease"]


def test_a_database_on_a_network_is_refused_while_another_host_holds_it(tmp_path: Path) -> None:
    HostLease(tmp_path / "host.lease", holder=THERE).hold()
    database = Database(tmp_path / "weighbridge.db", is_network=True)
    for block in (database.read, database.write):
        with pytest.raises(StorageBusy, match="'there'"), block():
            pass
    database.close()
