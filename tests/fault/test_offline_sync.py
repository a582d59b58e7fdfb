"""Spools shipped later: offline runs, damage in them, records of a newer version. One bad spool stops no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import weighbridge
from tests.fault.processes import run as run_script
from tests.fault.processes import sync, sync_all, values
from weighbridge import Api
from weighbridge.sdk import spool
from weighbridge.sdk.adopt import statuses
from weighbridge.sdk.client import client_for
from weighbridge.sdk.spool_reader import HEADER_BYTES, segments


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_MODE", "offline")


def offline_run(run_id: str, rows: int = 100) -> Path:
    """Record a run offline; its spool."""
    with weighbridge.init(project="p", id=run_id) as run:
        for index in range(rows):
            run.log({"value": index})
    folders = [Path(status.path) for status in statuses(client_for())]
    (folder,) = [one for one in folders if is_of(one, run_id)]
    return folder


def is_of(folder: Path, run_id: str) -> bool:
    start = folder / spool.START
    return start.exists() and f"{run_id}".encode() in start.read_bytes()


def damaged_ids() -> list[str]:
    folder = client_for().spool_dir / "damaged"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_several_offline_runs_stay_until_sync_and_then_come_whole() -> None:
    for name in ("run-a", "run-b", "run-c"):
        offline_run(name)
    assert sync(offline=False) == []
    done = sync()
    assert sorted(one.run_path or "" for one in done) == [
        f"{Api().default_entity}/p/{name}" for name in ("run-a", "run-b", "run-c")
    ]
    assert all(one.error is None and one.shipped_bytes > 0 for one in done)
    for name in ("run-a", "run-b", "run-c"):
        assert values(f"p/{name}") == list(range(100))
        assert Api().run(f"p/{name}").state == "finished"
    assert sync() == [] and statuses(client_for()) == []


def test_artifacts_logged_used_and_linked_offline_arrive(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("rows")
    with weighbridge.init(project="p", id="maker") as run:
        data = weighbridge.Artifact("data", "dataset", metadata={"rows": 1})
        data.add_file(tmp_path / "data.txt")
        run.log_artifact(data, aliases=["fresh"])
        run.use_artifact(data)
        model = weighbridge.Artifact("model", "model")
        with model.new_file("weights.txt") as file:
            file.write("1 2 3")
        run.log_artifact(model)
        run.link_artifact(model, "model-registry/Digits", aliases=["staging"])
        run.log({"value": 1})
    sync_all()
    api = Api()
    stored = api.artifact("p/data:fresh")
    assert stored.metadata == {"rows": 1}
    assert Path(stored.download(str(tmp_path / "out")), "data.txt").read_text() == "rows"
    staged = api.artifact("model-registry/Digits:staging")
    assert staged.digest == api.artifact("p/model:v0").digest
    maker = staged.logged_by()
    assert maker is not None and maker.id == "maker"
    assert values("p/maker") == [1]


def test_an_offline_process_that_was_killed_is_crashed_after_sync() -> None:
    done = run_script(
        "import os, signal, weighbridge\n"
        "run = weighbridge.init(project='p', id='one', mode='offline')\n"
        "for index in range(50): run.log({'value': index})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert done.code == -9
    sync_all()
    assert values("p/one") == list(range(50))
    assert Api().run("p/one").state == "crashed"


def test_an_artifact_that_is_refused_holds_up_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The name holds another type by the time of the sync."""
    with weighbridge.init(project="p", id="offline") as run:
        run.log({"value": 0})
        wrong = weighbridge.Artifact("taken", "dataset")
        with wrong.new_file("a.txt") as file:
            file.write("a")
        run.log_artifact(wrong)
        run.log({"value": 1})
    with weighbridge.init(project="p", id="online", mode="online") as run:
        first = weighbridge.Artifact("taken", "model")
        with first.new_file("b.txt") as file:
            file.write("b")
        run.log_artifact(first)
    sync_all()
    assert values("p/offline") == [0, 1]
    assert Api().run("p/offline").state == "finished"
    assert "refused and passed over" in capsys.readouterr().err
    assert len(damaged_ids()) == 1


def test_damage_in_the_middle_costs_its_rows_only_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    folder = offline_run("one", 1_000)
    _, path = segments(folder)[0]
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle] ^= 0xFF
    path.write_bytes(raw)
    sync_all()
    kept = values("p/one")
    assert len(kept) == 999 and kept == sorted(set(kept))
    assert kept[0] == 0 and kept[-1] == 999
    assert "torn or damaged" in capsys.readouterr().err
    assert damaged_ids() == [folder.name]
    assert Api().run("p/one").state == "finished"


def test_a_torn_tail_is_said_and_all_before_it_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    folder = offline_run("one", 100)
    _, path = segments(folder)[0]
    os.truncate(path, path.stat().st_size - 1)
    sync_all()
    assert values("p/one") == list(range(100))
    assert "torn or damaged" in capsys.readouterr().err
    assert Api().run("p/one").state == "crashed"  # its last word was torn


def newer_segment(folder: Path) -> None:
    _, path = segments(folder)[0]
    path.write_bytes(b"WBSPOOL2" + path.read_bytes()[8:])


def newer_start(folder: Path) -> None:
    (folder / spool.START).write_bytes(spool.frame(spool.KIND_START, b"\x93\x01\x02\x03"))


def newer_kind(folder: Path) -> None:
    _, path = segments(folder)[0]
    with path.open("ab") as file:
        file.write(spool.frame(77, b"from the future"))


def newer_item(folder: Path) -> None:
    _, path = segments(folder)[0]
    with path.open("ab") as file:
        file.write(spool.frame(spool.KIND_ITEM, b"\x81\xa4type\xa6future"))


def no_start(folder: Path) -> None:
    (folder / spool.START).unlink()


@pytest.mark.parametrize("spoil", [newer_segment, newer_start, newer_kind, newer_item, no_start])
def test_a_spool_that_cannot_be_read_is_kept_named_and_stops_no_other(
    spoil: object, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = offline_run("bad")
    assert callable(spoil)
    spoil(bad)
    before = {path.name: path.read_bytes() for _, path in segments(bad)}
    for name in ("run-x", "run-y"):
        offline_run(name)
    done = sync()
    assert [one.error is None for one in sorted(done, key=lambda one: one.error is not None)] == [
        True,
        True,
        False,
    ]
    assert bad.name in capsys.readouterr().err
    assert {path.name: path.read_bytes() for _, path in segments(bad)} == before
    for name in ("run-x", "run-y"):
        assert values(f"p/{name}") == list(range(100))
    weighbridge.init(project="p", id="next", mode="online").finish()


def test_a_lost_segment_is_named_and_what_follows_is_delivered(capsys: pytest.CaptureFixture[str]) -> None:
    folder = offline_run("one", 5)
    _, path = segments(folder)[0]
    rest = path.read_bytes()[HEADER_BYTES:]
    path.unlink()
    later = folder / spool.segment_name(1_000)
    later.write_bytes(spool.MAGIC + (1_000).to_bytes(8, "little") + rest)
    (one,) = sync()
    assert one.error is None
    assert "1,000 bytes at offset 0" in capsys.readouterr().err
    assert values("p/one") == list(range(5))
    assert (folder.parent / "damaged" / folder.name).is_dir()


def test_the_spool_of_a_deleted_run_is_set_aside_once(capsys: pytest.CaptureFixture[str]) -> None:
    weighbridge.init(project="p", id="gone", mode="online").finish()
    folder = offline_run("gone", 3)
    weighbridge.Api().run("p/gone").delete()
    (one,) = sync()
    assert one.error is not None and "deleted" in one.error
    assert sync() == []
    assert (folder.parent / "damaged" / folder.name).is_dir()
