"""The contract of a blob store, over every adapter; then what only the local one promises."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from tests.contract.blob_stores import ADAPTERS, StoreCase
from weighbridge.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidInput,
    SourceChanged,
    StorageError,
    StorageFull,
    WeighbridgeError,
)
from weighbridge.services.ports.blobs import BlobInfo, BlobStore, Fetch
from weighbridge.storage.blobs.copying import SMALL_MAX_BYTES
from weighbridge.storage.blobs.disk_errors import source_error, storage_error
from weighbridge.storage.blobs.flushing import FLUSH_EACH_MAX
from weighbridge.storage.blobs.local import LocalBlobStore

EMPTY_DIGEST = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
ABSENT = "0" * 64
BIG_SIZES = [
    SMALL_MAX_BYTES - 1,
    SMALL_MAX_BYTES,
    SMALL_MAX_BYTES + 1,
    8 * SMALL_MAX_BYTES,
    33 * SMALL_MAX_BYTES + 7,
]


@pytest.fixture(params=sorted(ADAPTERS))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> StoreCase:
    return ADAPTERS[str(request.param)](tmp_path)


@pytest.fixture
def store(case: StoreCase) -> BlobStore:
    return case.store


@pytest.fixture
def local(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def some_files(folder: Path, contents: list[bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"file-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def pattern(size_bytes: int) -> bytes:
    return blake3(b"pattern").digest(length=size_bytes)


def leftovers(root: Path) -> list[Path]:
    return list((root / "tmp").iterdir())


# --- the contract ---


@pytest.mark.parametrize("bad", ["", "abc", "../../etc/passwd", "A" * 64, "0" * 63 + "/", "0" * 65])
def test_what_is_no_digest_is_refused_everywhere(store: BlobStore, tmp_path: Path, bad: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.missing([bad]),
        lambda: store.read(bad),
        lambda: store.fetch_files([Fetch(bad, 0, tmp_path / "out")]),
        lambda: store.delete(bad),
    ]
    for call in calls:
        with pytest.raises(InvalidInput, match="is not a digest"):
            call()


def test_a_missing_blob_is_named(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(BlobNotFound, match=ABSENT):
        store.read(ABSENT)
    with pytest.raises(BlobNotFound, match=ABSENT):
        store.fetch_files([Fetch(ABSENT, 0, tmp_path / "out" / "file")])
    assert not (tmp_path / "out" / "file").exists()
    assert store.missing([ABSENT]) == {ABSENT}


def test_bytes_come_back_under_their_digest(store: BlobStore) -> None:
    info = store.put_bytes(b"weigh me")
    assert info == BlobInfo(blake3(b"weigh me").hexdigest(), 8)
    assert store.read(info.digest) == b"weigh me"
    assert store.missing([info.digest, ABSENT]) == {ABSENT}


def test_empty_bytes_and_an_empty_file_are_a_blob(store: BlobStore, tmp_path: Path) -> None:
    assert store.put_bytes(b"") == BlobInfo(EMPTY_DIGEST, 0)
    assert store.put_files(some_files(tmp_path / "in", [b""])) == [BlobInfo(EMPTY_DIGEST, 0)]
    store.fetch_files([Fetch(EMPTY_DIGEST, 0, tmp_path / "out")])
    assert (tmp_path / "out").read_bytes() == b"" == store.read(EMPTY_DIGEST)


def test_no_blobs_at_all_is_no_error(store: BlobStore) -> None:
    assert list(store.iter_blobs()) == []
    assert store.put_files([]) == []
    assert store.missing([]) == set()
    store.fetch_files([])
    store.delete(ABSENT)
    assert list(store.iter_blobs()) == []


def test_storing_again_changes_nothing(store: BlobStore, tmp_path: Path) -> None:
    [path] = some_files(tmp_path / "in", [b"same"])
    infos = {store.put_bytes(b"same"), *store.put_files([path, path]), *store.put_files([path])}
    assert infos == {BlobInfo(blake3(b"same").hexdigest(), 4)} == set(store.iter_blobs())
    assert len(list(store.iter_blobs())) == 1


def test_infos_come_in_the_order_of_the_files(store: BlobStore, tmp_path: Path) -> None:
    contents = [b"%d" % (number % 40) * (number % 7) for number in range(FLUSH_EACH_MAX + 50)]
    infos = store.put_files(some_files(tmp_path / "in", contents))
    assert infos == [BlobInfo(blake3(content).hexdigest(), len(content)) for content in contents]
    assert set(store.iter_blobs()) == set(infos)


@pytest.mark.parametrize("size_bytes", BIG_SIZES)
def test_big_files_go_in_and_out_whole(store: BlobStore, tmp_path: Path, size_bytes: int) -> None:
    data = pattern(size_bytes)
    [info] = store.put_files(some_files(tmp_path / "in", [data]))
    assert info == BlobInfo(blake3(data).hexdigest(), size_bytes)
    target = tmp_path / "out" / "big"
    store.fetch_files([Fetch(info.digest, size_bytes, target)])
    assert target.read_bytes() == data
    store.fetch_files([Fetch(info.digest, size_bytes, target)])
    assert [path.name for path in target.parent.iterdir()] == ["big"]


def test_a_range_of_a_blob_is_read(store: BlobStore) -> None:
    digest = store.put_bytes(b"0123456789").digest
    for start, length in [(-1, None), (0, -1)]:
        with pytest.raises(InvalidInput):
            store.read(digest, start=start, length=length)
    assert store.read(digest, start=3) == b"3456789"
    assert store.read(digest, start=3, length=4) == b"3456"
    assert store.read(digest, start=8, length=100) == b"89"
    assert store.read(digest, start=100) == b""
    assert store.read(digest, length=0) == b""


def test_what_is_no_regular_file_is_refused(store: BlobStore, tmp_path: Path) -> None:
    fifo, sock = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(sock))
        for path in (tmp_path, fifo, sock, Path("/dev/null")):
            with pytest.raises(InvalidInput, match=f"{str(path)!r} is not a regular file"):
                store.put_files([path])


def test_a_vanished_file_is_named_and_nothing_of_its_batch_is_kept(store: BlobStore, tmp_path: Path) -> None:
    [path] = some_files(tmp_path / "in", [b"here"])
    with pytest.raises(SourceChanged, match="gone.bin") as caught:
        store.put_files([path, tmp_path / "in" / "gone.bin"])
    assert caught.value.details["path"] == str(tmp_path / "in" / "gone.bin")
    if isinstance(store, LocalBlobStore):
        assert list(store.iter_blobs()) == []
        assert leftovers(store.root) == []


@pytest.mark.parametrize("size_bytes", [10, SMALL_MAX_BYTES + 10])
@pytest.mark.parametrize("how", ["altered", "truncated"])
def test_a_damaged_blob_is_noticed_and_never_handed_out(
    case: StoreCase, tmp_path: Path, size_bytes: int, how: str
) -> None:
    data = pattern(size_bytes)
    digest = case.store.put_bytes(data).digest
    bad = data[:-1] if how == "truncated" else bytes([data[0] ^ 1]) + data[1:]
    case.damage(digest, bad)
    target = tmp_path / "out" / "file"
    with pytest.raises(DigestMismatch) as reading:
        case.store.read(digest)
    with pytest.raises(DigestMismatch) as fetching:
        case.store.fetch_files([Fetch(digest, size_bytes, target)])
    for error in (reading.value, fetching.value):
        assert error.details["expected"] == digest
        assert error.details["actual"] == blake3(bad).hexdigest()
        assert digest in error.message and blake3(bad).hexdigest() in error.message
    assert str(target) in fetching.value.message
    if case.root is not None:
        assert str(case.root / digest[:2] / digest[2:]) in reading.value.message
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_putting_the_bytes_again_repairs_a_damaged_blob(case: StoreCase, tmp_path: Path) -> None:
    contents = [b"small", pattern(SMALL_MAX_BYTES + 1)]
    paths = some_files(tmp_path / "in", contents)
    infos = case.store.put_files(paths)
    for info in infos:
        case.damage(info.digest, bytes(info.size_bytes))
    assert case.store.put_files(paths) == infos
    assert [case.store.read(info.digest) for info in infos] == contents


def test_a_wrong_size_is_a_mismatch(store: BlobStore, tmp_path: Path) -> None:
    info = store.put_bytes(b"four")
    with pytest.raises(DigestMismatch, match="5"):
        store.fetch_files([Fetch(info.digest, 5, tmp_path / "out" / "file")])
    assert list((tmp_path / "out").iterdir() if (tmp_path / "out").exists() else []) == []


def test_fetching_replaces_wrong_targets_and_leaves_right_ones(store: BlobStore, tmp_path: Path) -> None:
    digest = store.put_bytes(b"right").digest
    wrong, right, deep = tmp_path / "wrong", tmp_path / "right", tmp_path / "a" / "b" / "c"
    wrong.write_bytes(b"WRONG")
    right.write_bytes(b"right")
    before = right.stat()
    store.fetch_files([Fetch(digest, 5, target) for target in (wrong, right, deep)])
    assert wrong.read_bytes() == right.read_bytes() == deep.read_bytes() == b"right"
    assert (right.stat().st_ino, right.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert {path.name for path in tmp_path.iterdir()} - {"blobs"} == {"wrong", "right", "a"}


def test_fetching_replaces_a_symbolic_link_and_never_writes_through_it(
    store: BlobStore, tmp_path: Path
) -> None:
    digest = store.put_bytes(b"right").digest
    outside, link = tmp_path / "outside", tmp_path / "link"
    outside.write_bytes(b"keep!")
    link.symlink_to(outside)
    store.fetch_files([Fetch(digest, 5, link)])
    assert outside.read_bytes() == b"keep!"
    assert not link.is_symlink() and link.read_bytes() == b"right"


def test_a_target_that_can_not_be_written_is_a_storage_error(store: BlobStore, tmp_path: Path) -> None:
    digest = store.put_bytes(b"data").digest
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "below", tmp_path / "folder"):
        with pytest.raises(StorageError, match=target.parent.name if target.name == "below" else target.name):
            store.fetch_files([Fetch(digest, 4, target)])
    assert list((tmp_path / "folder").iterdir()) == []


def test_progress_counts_up_to_all_files_and_bytes(store: BlobStore, tmp_path: Path) -> None:
    contents = [pattern(1000 + number) for number in range(20)]
    total = sum(map(len, contents))
    seen: list[tuple[int, int]] = []

    def note(files: int, size_bytes: int) -> None:
        seen.append((files, size_bytes))

    infos = store.put_files(some_files(tmp_path / "in", contents), progress=note)
    assert max(seen) == (20, total)
    fetches = [Fetch(info.digest, info.size_bytes, tmp_path / "out" / info.digest[:8]) for info in infos]
    for _ in ("written", "found there"):
        seen.clear()
        store.fetch_files(fetches, progress=note)
        assert max(seen) == (20, total)


def test_deleting_is_repeatable(store: BlobStore) -> None:
    kept, doomed = store.put_bytes(b"kept"), store.put_bytes(b"doomed")
    store.delete(doomed.digest)
    store.delete(doomed.digest)
    assert list(store.iter_blobs()) == [kept]
    assert store.missing([kept.digest, doomed.digest]) == {doomed.digest}


def test_threads_may_put_the_same_bytes_at_once(store: BlobStore, tmp_path: Path) -> None:
    contents = [b"%d" % number for number in range(30)]
    paths = some_files(tmp_path / "in", contents)
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: store.put_files(paths), range(6)))
    assert all(result == results[0] for result in results)
    assert {store.read(info.digest) for info in store.iter_blobs()} == set(contents)


def put_in_child(root: str, paths: list[Path]) -> list[BlobInfo]:
    return LocalBlobStore(Path(root)).put_files(paths)


def test_processes_may_put_the_same_bytes_at_once(case: StoreCase, tmp_path: Path) -> None:
    if case.root is None:
        pytest.skip("lives in one process")
    contents = [b"%d" % number for number in range(20)]
    paths = some_files(tmp_path / "in", contents)
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(put_in_child, [str(case.root)] * 3, [paths] * 3))
    assert all(result == results[0] for result in results)
    assert {case.store.read(info.digest) for info in case.store.iter_blobs()} == set(contents)
    assert leftovers(case.root) == []


# --- the local store ---

PUT_THEN_HANG = """
import os, sys, time
from pathlib import Path
from weighbridge.storage.blobs.local import LocalBlobStore

def stop(files, size_bytes):
    if size_bytes >= int(sys.argv[2]):
        print("in the middle\\n", end="", flush=True)  # one write: two workers may get here at once
        time.sleep(60)

LocalBlobStore(Path(sys.argv[1])).put_files([Path(p) for p in sys.argv[3:]], progress=stop)
"""


@pytest.mark.parametrize(("count", "size_bytes"), [(1, 80 << 20), (9, 100)])
def test_a_put_that_is_killed_leaves_nothing_visible(
    local: LocalBlobStore, tmp_path: Path, count: int, size_bytes: int
) -> None:
    paths = some_files(tmp_path / "in", [b"%d" % number for number in range(count)])
    for path in paths:
        os.truncate(path, size_bytes)
    middle = size_bytes // 2 if count == 1 else size_bytes * (count // 2)
    command = [sys.executable, "-c", PUT_THEN_HANG, str(local.root), str(middle), *map(str, paths)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "src"}
    )
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "in the middle\n"
        finally:
            child.kill()
    assert list(local.iter_blobs()) == []
    assert leftovers(local.root) != []
    infos = local.put_files(paths)
    assert [len(local.read(info.digest)) for info in infos] == [size_bytes] * count


def test_old_temporary_files_are_removed_and_young_ones_kept(local: LocalBlobStore) -> None:
    local.put_bytes(b"")
    old, young = local.root / "tmp" / "1-old", local.root / "tmp" / "2-young"
    for path, age_s in ((old, 86_500), (young, 86_300)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)
    LocalBlobStore(local.root).put_bytes(b"")
    assert leftovers(local.root) == [young]


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten"])
def test_a_file_that_changes_while_it_is_read_is_named(
    local: LocalBlobStore, tmp_path: Path, change: str
) -> None:
    [path] = some_files(tmp_path / "in", [b""])
    os.truncate(path, 80 << 20)
    os.utime(path, ns=(1, 1))

    def meddle(_files: int, _size_bytes: int) -> None:
        with open(path, "r+b") as file:
            if change == "is rewritten":
                file.write(b"x")
            else:
                file.truncate((80 << 20) + (1 if change == "grows" else -1))

    with pytest.raises(SourceChanged, match="file-0") as caught:
        local.put_files([path], progress=meddle)
    assert caught.value.details["path"] == str(path)
    assert list(local.iter_blobs()) == []
    assert leftovers(local.root) == []


def test_an_error_in_one_file_stops_the_others(local: LocalBlobStore, tmp_path: Path) -> None:
    paths = some_files(tmp_path / "in", [b"x"] * 500)
    seen: list[int] = []
    with pytest.raises(InvalidInput):
        local.put_files([tmp_path, *paths], progress=lambda files, _: seen.append(files))
    assert max(seen, default=0) < 500
    assert leftovers(local.root) == []


def test_an_interrupted_put_leaves_no_temporary_files(local: LocalBlobStore, tmp_path: Path) -> None:
    def interrupt(files: int, _size_bytes: int) -> None:
        if files == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.put_files(some_files(tmp_path / "in", [b"%d" % n for n in range(50)]), progress=interrupt)
    assert leftovers(local.root) == []


def test_at_most_four_threads_work_for_one_call(local: LocalBlobStore, tmp_path: Path) -> None:
    before = threading.active_count()
    most = 0

    def count(_files: int, _size_bytes: int) -> None:
        nonlocal most
        most = max(most, threading.active_count() - before)

    local.put_files(some_files(tmp_path / "in", [pattern(2 << 20)] * 8), progress=count)
    assert 1 <= most <= 4


def clone_by_copying(source: int, target: int) -> bool:
    size_bytes = os.fstat(source).st_size
    os.sendfile(target, source, 0, size_bytes)
    return os.fstat(target).st_size == size_bytes


def test_a_cloned_file_is_hashed_from_the_clone(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "blobs", clone=clone_by_copying)
    data = pattern(3 << 20)
    [info] = store.put_files(some_files(tmp_path / "in", [data]))
    assert info == BlobInfo(blake3(data).hexdigest(), len(data))
    store.fetch_files([Fetch(info.digest, info.size_bytes, tmp_path / "out")])
    assert (tmp_path / "out").read_bytes() == data == store.read(info.digest)


def test_blobs_are_read_only_and_fetched_files_are_not(local: LocalBlobStore, tmp_path: Path) -> None:
    digest = local.put_bytes(b"data").digest
    local.fetch_files([Fetch(digest, 4, tmp_path / "out")])
    assert local.path_of(digest).stat().st_mode & 0o222 == 0
    assert (tmp_path / "out").stat().st_mode & 0o200


def test_links_to_files_are_followed(local: LocalBlobStore, tmp_path: Path) -> None:
    [path] = some_files(tmp_path / "in", [b"data"])
    (tmp_path / "link").symlink_to(path)
    assert local.put_files([tmp_path / "link"]) == local.put_files([path])


def test_reading_needs_no_folder_and_makes_none(local: LocalBlobStore) -> None:
    assert local.missing([ABSENT]) == {ABSENT}
    assert list(local.iter_blobs()) == []
    assert not local.root.exists()


def test_a_lost_temporary_folder_is_made_again(local: LocalBlobStore) -> None:
    local.put_bytes(b"one")
    shutil.rmtree(local.root / "tmp")
    LocalBlobStore(local.root).put_bytes(b"two")
    assert len(list(local.iter_blobs())) == 2


FILL = """
import resource, sys
from pathlib import Path
from weighbridge.errors import StorageFull
from weighbridge.services.ports.blobs import Fetch
from weighbridge.storage.blobs.local import LocalBlobStore

root, limit_bytes, sources = Path(sys.argv[1]), int(sys.argv[2]), [Path(p) for p in sys.argv[3:]]
outside = LocalBlobStore(sources[0].parent / "outside")
if limit_bytes:
    infos = outside.put_files(sources)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
else:
    infos = outside.put_files(sources)
store = LocalBlobStore(root)
store.put_bytes(b"fits")
for source, info in zip(sources, infos):
    for work in (
        lambda: store.put_files([source]),
        lambda: store.put_bytes(source.read_bytes()),
        lambda: outside.fetch_files([Fetch(info.digest, info.size_bytes, root / "fetched" / "file")]),
    ):
        try:
            work()
        except StorageFull as error:
            assert error.retryable
        else:
            raise SystemExit("no StorageFull")
assert len(list(store.iter_blobs())) == 1
assert list((root / "tmp").iterdir()) == [] == list((root / "fetched").iterdir())
store.put_bytes(b"fits as well")
print("full, and said so")
"""


def test_a_file_size_limit_is_storage_full_and_leaves_nothing(tmp_path: Path) -> None:
    sources = some_files(tmp_path / "in", [pattern(600_000), pattern(3 << 20)])
    command = [sys.executable, "-c", FILL, str(tmp_path / "blobs"), "500000", *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "src"})
    assert (done.stdout, done.stderr) == ("full, and said so\n", "")


def test_a_full_disk_is_storage_full_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    sources = some_files(tmp_path / "in", [pattern(900_000), pattern(3 << 20)])
    mount = 'mount -t tmpfs -o size=800k weighbridge "$1" || exit 77; shift; exec "$@"'
    inner = [sys.executable, "-c", FILL, str(disk / "blobs"), "0", *map(str, sources)]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", str(disk), *inner],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip("may not mount a small file system here")
    assert (done.stdout, done.stderr) == ("full, and said so\n", "")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EROFS, StorageError),
        (errno.EIO, StorageError),
    ],
)
def test_disk_errors_become_ours(code: int, kind: type[WeighbridgeError]) -> None:
    error = storage_error(OSError(code, os.strerror(code)), doing="Writing 'x'")
    assert type(error) is kind
    assert error.message == f"Writing 'x' failed: {os.strerror(code)}."
    assert error.hint


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOENT, SourceChanged),
        (errno.ESTALE, SourceChanged),
        (errno.EACCES, InvalidInput),
        (errno.EIO, StorageError),
    ],
)
def test_errors_of_a_source_name_it(code: int, kind: type[WeighbridgeError]) -> None:
    error = source_error(OSError(code, os.strerror(code)), "data.bin")
    assert type(error) is kind
    assert "'data.bin'" in error.message
