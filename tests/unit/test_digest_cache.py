"""The digest cache: what it must not trust, then what it remembers, then how little its loss costs."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.sdk.digest_cache import (
    COARSE_MARGIN_NS,
    RACY_MARGIN_NS,
    DigestCache,
    is_racy,
    settle_s,
)

DIGEST = "ab" * 32
OTHER = "cd" * 32
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


class Seen(NamedTuple):
    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


def seen(path: str = "/data/a", *, changed_ns: int = NOW + 123) -> Seen:
    return Seen(path, 10, changed_ns, changed_ns, 7, 1)


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.sqlite")


def remember(cache: DigestCache, *files: Seen, digest: str = DIGEST) -> int:
    return cache.store([(file, digest) for file in files], read_after_ns=NOW + 10 * SECOND)


# --- trust ---


@pytest.mark.parametrize("position", range(6))
def test_a_file_that_differs_in_anything_is_unknown(cache: DigestCache, position: int) -> None:
    file = seen()
    assert remember(cache, file) == 1
    fields = list(file)
    fields[position] = "/data/b" if position == 0 else getattr(file, Seen._fields[position]) + 1
    changed = Seen._make(fields)
    assert cache.lookup([changed]) == {}
    assert cache.lookup([file]) == {file.path: DIGEST}


@pytest.mark.parametrize("by_ctime", [False, True])
def test_a_file_changed_within_a_tick_of_being_read_is_not_remembered(
    cache: DigestCache, by_ctime: bool
) -> None:
    read_at = NOW + 123
    for age_ns, is_trusted in [(-SECOND, 0), (0, 0), (RACY_MARGIN_NS, 0), (RACY_MARGIN_NS + 1, 1)]:
        old = seen(changed_ns=NOW + 123 - 60 * SECOND)
        changed_ns = read_at - age_ns
        file = old._replace(ctime_ns=changed_ns) if by_ctime else old._replace(mtime_ns=changed_ns)
        assert cache.store([(file, DIGEST)], read_after_ns=read_at) == is_trusted
        assert len(cache.lookup([file])) == is_trusted


def test_a_coarse_timestamp_asks_for_more_age() -> None:
    file = seen(changed_ns=NOW)
    assert is_racy(file, read_after_ns=NOW + COARSE_MARGIN_NS)
    assert not is_racy(file, read_after_ns=NOW + COARSE_MARGIN_NS + 1)
    assert not is_racy(seen(), read_after_ns=NOW + SECOND)


@given(st.integers(-50_000_000, 50_000_000), st.booleans())
def test_after_settling_no_fresh_file_is_racy(age_ns: int, by_ctime: bool) -> None:
    now_ns = NOW + 123
    old = seen(changed_ns=now_ns - 60 * SECOND + 1)
    changed_ns = now_ns - age_ns
    file = old._replace(ctime_ns=changed_ns) if by_ctime else old._replace(mtime_ns=changed_ns | 1)
    wait_s = settle_s([old, file], now_ns=now_ns)
    assert 0 <= wait_s < 0.021
    if age_ns > 0:
        assert not is_racy(file, read_after_ns=now_ns + round(wait_s * 1e9) + 1)


def test_nothing_to_settle_takes_no_time() -> None:
    assert settle_s([], now_ns=NOW) == 0.0
    assert settle_s([seen(changed_ns=NOW - SECOND)], now_ns=NOW) == 0.0
    assert settle_s([seen(changed_ns=NOW + 60 * SECOND)], now_ns=NOW) == 0.0


def test_a_real_write_after_the_read_is_always_noticed(tmp_path: Path, cache: DigestCache) -> None:
    path = tmp_path / "file"
    for turn in range(200):
        path.write_bytes(b"old%03d" % turn)
        before = look(path)
        cache.store([(before, DIGEST)], read_after_ns=time.time_ns())
        path.write_bytes(b"new%03d" % turn)
        assert cache.lookup([look(path)]) == {}


def look(path: Path) -> Seen:
    found = os.stat(path)
    return Seen(str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "../x", "zz" * 32])
def test_what_is_no_digest_is_not_remembered(cache: DigestCache, digest: str) -> None:
    assert remember(cache, seen(), digest=digest) == 0


# --- memory ---


def test_nothing_asked_nothing_found(cache: DigestCache) -> None:
    assert cache.lookup([]) == {}
    assert cache.lookup([seen()]) == {}
    assert cache.store([], read_after_ns=NOW) == 0


def test_thousands_are_found_at_once_and_after_reopening(cache: DigestCache, tmp_path: Path) -> None:
    files = [seen(f"/data/{number}/ü")._replace(inode=number) for number in range(2_345)]
    assert remember(cache, *files) == 2_345
    cache.close()
    again = DigestCache(tmp_path / "cache" / "digests.sqlite", is_local=False)
    assert again.lookup([*files, seen("/data/unknown")]) == {file.path: DIGEST for file in files}


def test_a_newer_digest_takes_the_place_of_the_older(cache: DigestCache) -> None:
    remember(cache, seen())
    newer = seen()._replace(mtime_ns=NOW + 456)
    remember(cache, newer, digest=OTHER)
    assert cache.lookup([newer]) == {newer.path: OTHER}
    assert cache.lookup([seen()]) == {}


def test_it_stays_usable_after_close(cache: DigestCache) -> None:
    remember(cache, seen())
    cache.close()
    cache.close()
    assert cache.lookup([seen()])


def test_above_its_bound_the_oldest_go(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "digests.sqlite", rows_max=10)
    files = [seen(f"/data/{number}") for number in range(11)]
    remember(cache, *files[:10])
    assert len(cache.lookup(files)) == 10
    with sqlite3.connect(tmp_path / "digests.sqlite") as connection:
        connection.execute("UPDATE digests SET stored_at = stored_at - 100 WHERE path = '/data/4'")
    connection.close()
    remember(cache, files[10])
    assert files[4].path not in cache.lookup(files)
    assert len(cache.lookup(files)) == 10


@pytest.mark.parametrize(("is_local", "mode"), [(True, "wal"), (False, "truncate")])
def test_a_write_ahead_log_is_used_on_local_disks_only(tmp_path: Path, is_local: bool, mode: str) -> None:
    cache = DigestCache(tmp_path / "digests.sqlite", is_local=is_local)
    remember(cache, seen())
    assert (tmp_path / "digests.sqlite-wal").exists() == (mode == "wal")
    assert cache.lookup([seen()])


# --- loss ---


def _scribble(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def _flip_pages(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(len(data) - 100))


def _other_format(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def _no_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE digests")
    connection.close()


@pytest.mark.parametrize("damage", [_scribble, _flip_pages, _other_format, _no_table])
def test_a_damaged_cache_is_dropped_and_rebuilt(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "digests.sqlite"
    cache = DigestCache(path)
    remember(cache, seen())
    cache.close()
    damage(path)
    assert cache.lookup([seen()]) == {}
    assert remember(cache, seen()) == 1
    assert cache.lookup([seen()]) == {seen().path: DIGEST}


def test_a_digest_of_the_wrong_length_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "digests.sqlite"
    cache = DigestCache(path)
    remember(cache, seen())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE digests SET digest = x'abcd'")
    connection.close()
    assert cache.lookup([seen()]) == {}


def test_a_cache_that_can_not_be_made_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "digests.sqlite", tmp_path):
        cache = DigestCache(path)
        assert remember(cache, seen()) == 0
        assert cache.lookup([seen()]) == {}
        cache.close()


def test_what_the_database_can_not_hold_is_left_out_and_the_rest_kept(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "digests.sqlite")
    remember(cache, seen())
    for odd in (seen("/data/odd")._replace(inode=1 << 63), seen("/data/\udc80")):
        assert remember(cache, odd) == 0
        assert cache.lookup([odd]) == {}
    assert cache.lookup([seen()])


def test_a_locked_cache_is_done_without(tmp_path: Path) -> None:
    path = tmp_path / "digests.sqlite"
    cache = DigestCache(path)
    remember(cache, seen())
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert remember(cache, seen("/data/b")) == 0
    assert cache.lookup([seen()]) == {seen().path: DIGEST}
    holder.execute("ROLLBACK")
    holder.close()
    assert remember(cache, seen("/data/b")) == 1


def test_threads_share_one(cache: DigestCache) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            remember(cache, seen(f"/data/{number}/{turn}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache.lookup(seen(f"/data/{n}/{turn}") for n in range(4) for turn in range(20))) == 80


def _store_in_child(path: str, number: int) -> int:
    return remember(DigestCache(Path(path)), *(seen(f"/data/{number}/{turn}") for turn in range(50)))


def test_processes_share_one(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "digests.sqlite"
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        stored = list(pool.map(_store_in_child, [str(path)] * 3, range(3)))
    found = DigestCache(path).lookup(seen(f"/data/{n}/{turn}") for n in range(3) for turn in range(50))
    assert len(found) == sum(stored)
    assert set(found.values()) <= {DIGEST}


def test_a_forked_child_opens_its_own(cache: DigestCache) -> None:
    remember(cache, seen())
    pid = os.fork()
    if pid == 0:
        is_fine = cache.lookup([seen()]) == {seen().path: DIGEST} and remember(cache, seen("/data/c")) == 1
        os._exit(0 if is_fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(cache.lookup([seen(), seen("/data/c")])) == 2
