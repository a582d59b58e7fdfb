"""A disk that is full: training goes on, the user is told once, and nothing is lost when space returns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import weighbridge
from tests.fault.processes import fill, run, small_disk, sync_all, until, values
from weighbridge import Api
from weighbridge.errors import StorageFull
from weighbridge.sdk.client import client_for
from weighbridge.sdk.spool import BACKLOG_BYTES, KIND_ITEM, KIND_ROW, SpoolWriter
from weighbridge.sdk.spool_reader import Block, SpoolReader

_NUMBER = count()


def unique() -> str:
    """A run id that no other test uses, since what is told once is told once a process and run."""
    return f"full-{next(_NUMBER)}"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "8m") as point:
        monkeypatch.setenv("WEIGHBRIDGE_HOME", str(point / "home"))
        monkeypatch.setenv("WEIGHBRIDGE_SHIPPER", "off")
        yield point
        while (left := weighbridge.run) is not None:
            left.finish()
        client_for().close()


def log(run: weighbridge.Run, first: int, last: int) -> None:
    for index in range(first, last):
        run.log({"value": index, "padding": "x" * 200})


def test_a_disk_that_fills_up_is_said_once_and_nothing_is_lost(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with weighbridge.init(project="p", id=unique()) as run:
        log(run, 0, 100)
        filler = fill(disk)
        log(run, 100, 2_000)
        assert capsys.readouterr().err.count("No space left") == 1
        assert run.summary["value"] == 1_999
        filler.unlink()
        log(run, 2_000, 2_100)
    assert values(f"p/{run.id}") == list(range(2_100))
    assert Api().run(f"p/{run.id}").state == "finished"


def test_space_that_returns_while_nothing_is_logged_is_used_by_finish(disk: Path) -> None:
    run = weighbridge.init(project="p", id=unique())
    filler = fill(disk)
    log(run, 0, 1_000)
    filler.unlink()
    run.finish()
    assert values(f"p/{run.id}") == list(range(1_000))


def test_a_disk_full_at_init_does_not_stop_training(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filler = fill(disk)
    run = weighbridge.init(project="p", id=unique(), config={"lr": 0.5})
    log(run, 0, 500)
    run.summary["final"] = 1
    told = capsys.readouterr().err
    assert "could not be registered yet" in told
    assert told.count("The run goes on and writes as soon as it can") == 1
    filler.unlink()
    run.finish()
    sync_all()
    assert values(f"p/{run.id}") == list(range(500))
    assert Api().run(f"p/{run.id}").config["lr"] == 0.5
    assert Api().run(f"p/{run.id}").state == "finished"


def test_a_disk_full_to_the_end_is_said_with_what_is_lost(
    disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_FINISH_TIMEOUT_S", "0.5")
    run = weighbridge.init(project="p", id=unique())
    log(run, 0, 10)
    filler = fill(disk)
    log(run, 10, 1_000)
    run.finish()
    assert run.is_finished
    told = capsys.readouterr().err
    assert "could not be written and are lost" in told
    filler.unlink()
    sync_all()
    kept = values(f"p/{run.id}")
    assert kept == list(range(len(kept))) and 10 <= len(kept) < 1_000


def test_a_database_that_cannot_grow_keeps_the_rows_in_the_spool(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roomy").mkdir()
    (disk / "home").mkdir()
    (disk / "home" / "spool").symlink_to(tmp_path / "roomy")
    run = weighbridge.init(project="p", id=unique(), settings={"finish_timeout_s": 0.5})
    filler = fill(disk)
    for index in range(5_000):
        run.log({"value": index, "noise": str(hash(index * 7919)) * 20})
    run.finish()
    assert "weighbridge sync" in capsys.readouterr().err
    filler.unlink()
    sync_all()
    assert values(f"p/{run.id}") == list(range(5_000))
    assert Api().run(f"p/{run.id}").state == "finished"


def test_a_full_database_is_an_error_that_may_pass(disk: Path) -> None:
    with weighbridge.init(project="p", id=unique()) as run:
        run.log({"value": 1})
    filler = fill(disk)
    stored = Api().run(f"p/{run.id}")
    stored.notes = "x" * 60_000
    with pytest.raises(StorageFull) as caught:
        for _ in range(100):
            stored.update()
    assert caught.value.retryable
    filler.unlink()
    stored.update()
    assert Api().run(f"p/{run.id}").notes == stored.notes


def test_a_limit_on_file_size_is_treated_as_a_full_disk() -> None:
    """Needs no right to mount: the limit is lifted again, as if space had returned."""
    done = run(
        "import resource, signal, weighbridge\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "run = weighbridge.init(project='p', id='limited')\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))\n"
        "for index in range(3_000): run.log({'value': index})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "run.finish()\n",
        env={"WEIGHBRIDGE_SHIPPER": "off"},
    )
    assert done.code == 0
    assert done.err.count("No space left") == 1
    assert values("p/limited") == list(range(3_000))


def test_the_monitor_writes_what_waited_once_space_returns(
    disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_SHIPPER", "thread")
    monkeypatch.setenv("WEIGHBRIDGE_SHIP_INTERVAL_S", "0.05")
    run = weighbridge.init(project="p", id=unique())
    filler = fill(disk)
    log(run, 0, 1_000)
    filler.unlink()
    writer = run._writer
    assert writer is not None
    until(lambda: writer.backlog_bytes == 0, "the backlog is written")
    until(lambda: "the disk takes data again; nothing was lost" in capsys.readouterr().err, "it is said")
    until(lambda: len(values(f"p/{run.id}")) == 1_000, "the rows are stored while the run is open")
    run.finish()


def test_finish_waits_for_space_before_it_gives_rows_up(
    disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = weighbridge.init(project="p", id=unique())
    filler = fill(disk)
    log(run, 0, 1_000)
    ending = threading.Thread(target=run.finish)
    ending.start()
    until(lambda: "finish() tries to write them" in capsys.readouterr().err, "finish says that it waits")
    filler.unlink()
    ending.join(30)
    assert not ending.is_alive()
    assert values(f"p/{run.id}") == list(range(1_000))


def test_the_bound_of_what_waits_in_memory_holds_for_large_rows_after_small_ones(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.write_text("a file stands where the folder should be")
    writer = SpoolWriter(root, "abc", b"start")
    for _ in range(1_000):
        writer.append(KIND_ROW, b"small" * 100)
    writer.append(KIND_ITEM, b"an item is never dropped")
    large = BACKLOG_BYTES // 2 - 1_000
    for _ in range(10):
        writer.append(KIND_ROW, b"x" * large)
        assert writer.backlog_bytes <= BACKLOG_BYTES
    root.unlink()
    assert writer.flush_backlog()
    kept = SpoolReader(writer.path)
    payloads: list[bytes] = []
    while isinstance(block := kept.read(is_final=True), Block):
        payloads.extend(bytes(payload) for _, payload in block.frames)
    assert b"an item is never dropped" in payloads
    assert writer.dropped_rows + len(payloads) == 1_011
    writer.release()
