"""The contract of a UnitOfWork: all or nothing, one writer, snapshots, threads, forks, and busy said in time."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.metadata_adapters import ADAPTERS, Metadata
from weighbridge.errors import StorageError

AT = 1.0


@pytest.fixture(params=list(ADAPTERS.values()), ids=list(ADAPTERS))
def metadata(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Metadata]:
    make: Callable[[Path], Metadata] = request.param
    made = make(tmp_path)
    yield made
    made.uow.close()


def paths(metadata: Metadata) -> list[str]:
    with metadata.uow.read() as tx:
        return sorted(metadata.addresses.project_paths(tx))


def add(metadata: Metadata, name: str) -> None:
    with metadata.uow.write() as tx:
        metadata.addresses.ensure_project(tx, "ada", name, at=AT)


def test_what_raises_leaves_nothing_behind(metadata: Metadata) -> None:
    with pytest.raises(ZeroDivisionError), metadata.uow.write() as tx:
        metadata.addresses.ensure_project(tx, "ada", "p", at=AT)
        raise ZeroDivisionError
    assert paths(metadata) == []


def test_an_inner_block_joins_the_outer_one(metadata: Metadata) -> None:
    with pytest.raises(ZeroDivisionError), metadata.uow.write():
        add(metadata, "p")
        assert paths(metadata) == ["ada/p"]
        raise ZeroDivisionError
    assert paths(metadata) == []


def test_a_write_inside_a_read_is_refused(metadata: Metadata) -> None:
    with metadata.uow.read(), pytest.raises(StorageError, match="inside a read"):
        add(metadata, "p")


def test_a_block_after_one_that_failed_works(metadata: Metadata) -> None:
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), metadata.uow.write():
            raise KeyboardInterrupt
    add(metadata, "p")
    assert paths(metadata) == ["ada/p"]


def test_threads_write_one_after_the_other_and_lose_nothing(metadata: Metadata) -> None:
    failed: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(10):
                add(metadata, f"t{thread}-{number}")
                paths(metadata)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(paths(metadata)) == 60


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(metadata: Metadata) -> None:
    add(metadata, "parent")
    with metadata.uow.write() as tx:
        metadata.addresses.ensure_project(tx, "ada", "open", at=AT)
        child = multiprocessing.get_context("fork").Process(target=_child_reads, args=(metadata,))
        child.start()
        child.join()
    assert child.exitcode == 0
    writer = multiprocessing.get_context("fork").Process(target=add, args=(metadata, "child"))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    assert paths(metadata) == ["ada/child", "ada/open", "ada/parent"]


def _child_reads(metadata: Metadata) -> None:
    os._exit(0 if paths(metadata) == ["ada/parent"] else 1)


def test_closing_twice_is_a_no_op_and_a_later_block_opens_anew(metadata: Metadata) -> None:
    add(metadata, "p")
    metadata.uow.close()
    metadata.uow.close()
    assert paths(metadata) == ["ada/p"]


def test_a_snapshot_does_not_change_while_it_is_read(tmp_path: Path) -> None:
    metadata = ADAPTERS["sqlite"](tmp_path)
    seen: list[list[str]] = []
    with metadata.uow.read() as tx:
        seen.append(list(metadata.addresses.project_paths(tx)))
        thread = threading.Thread(target=add, args=(metadata, "p"))
        thread.start()
        thread.join()
        seen.append(list(metadata.addresses.project_paths(tx)))
    assert seen == [[], []]
    assert paths(metadata) == ["ada/p"]
    metadata.uow.close()


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_the_journal_is_what_the_file_system_bears(tmp_path: Path, name: str) -> None:
    metadata = ADAPTERS[name](tmp_path)
    add(metadata, "p")
    other = sqlite3.connect(tmp_path / "weighbridge.db")
    mode = other.execute("PRAGMA journal_mode").fetchone()[0]
    other.close()
    assert mode == ("wal" if name == "sqlite" else "delete")
    assert (tmp_path / "host.lease").exists() is (name != "sqlite")
    metadata.uow.close()
