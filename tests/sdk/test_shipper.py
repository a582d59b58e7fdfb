"""The process that ships: when it starts, how many there are, what it survives, and when it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

import weighbridge
from tests.fault.processes import ended, heard, run, shipper_pids, start, sync_all, until, values
from weighbridge import Api
from weighbridge.errors import StorageBusy
from weighbridge.sdk import shipper
from weighbridge.sdk.client import client_for
from weighbridge.sdk.shipper import Shipper, take_lock

LIVE = """
import sys, weighbridge
run = weighbridge.init(project="p", id=sys.argv[1])
print("ready", flush=True)
index = 0
for line in sys.stdin:
    if line.strip() == "end":
        break
    for _ in range(100):
        run.log({"value": index})
        index += 1
    print("logged", flush=True)
"""


def say(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    process.stdin.write(word + "\n")
    process.stdin.flush()


def logged(process: subprocess.Popen[str]) -> None:
    say(process, "log")
    heard(process, "logged")


def log_text(home: Path) -> str:
    path = home / "spool" / "shipper.log"
    return path.read_text() if path.exists() else ""


def test_a_short_run_needs_no_shipper(fresh_surroundings: Path) -> None:
    with weighbridge.init(project="p", id="short") as run:
        run.log({"value": 1})
    assert shipper_pids(fresh_surroundings) == []
    assert not (fresh_surroundings / "spool" / "shipper.log").exists()
    assert values("p/short") == [1]


@pytest.mark.slow
def test_one_shipper_serves_all_and_leaves_after_the_last(fresh_surroundings: Path) -> None:
    processes = [start(LIVE, f"run-{number}") for number in range(4)]
    for process in processes:
        heard(process, "ready")
        logged(process)
    until(
        lambda: all(len(values(f"p/run-{number}")) == 100 for number in range(4)),
        "rows are stored while the runs are open",
    )
    assert len(shipper_pids(fresh_surroundings)) == 1
    processes[0].kill()
    ended(processes.pop(0))
    until(lambda: Api().run("p/run-0").state == "crashed", "the shipper ends the run of the dead")
    for process in processes:
        say(process, "end")
        assert ended(process).code == 0
    until(lambda: not shipper_pids(fresh_surroundings), "the shipper leaves")
    assert log_text(fresh_surroundings) == ""


@pytest.mark.slow
def test_it_is_no_child_of_the_script_and_keeps_none_of_its_things(
    fresh_surroundings: Path, tmp_path: Path
) -> None:
    """User files named as Python's modules beside the script, an inherited descriptor, a folder that goes away."""
    folder = tmp_path / "script"
    folder.mkdir()
    for name in ("random.py", "json.py", "signal.py", "msgspec.py"):
        (folder / name).write_text("raise ImportError('the wrong file')\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "kept = os.open(sys.argv[2], os.O_CREAT | os.O_RDWR)\n"
        "os.set_inheritable(kept, True)\n" + LIVE + "run.finish()\n"
        "try:\n    os.wait()\nexcept ChildProcessError:\n    print('no children', flush=True)\n"
    )
    held = tmp_path / "held"
    process = start(
        f"import sys; sys.path.pop(0); import runpy; runpy.run_path({str(script)!r}, run_name='__main__')",
        "one",
        str(held),
        cwd=folder,
    )
    heard(process, "ready")
    logged(process)
    until(lambda: len(values("p/one")) == 100, "rows are stored while the run is open")
    (pid,) = shipper_pids(fresh_surroundings)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    assert str(held) not in opened
    assert os.getpgid(pid) != os.getpgid(process.pid)
    for name in os.listdir(folder):
        (folder / name).unlink()
    folder.rmdir()
    logged(process)
    say(process, "end")
    done = ended(process)
    assert (done.code, done.out) == (0, "no children\n"), done.err
    assert values("p/one") == list(range(200))


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_reaches_the_script_and_not_the_shipper(fresh_surroundings: Path) -> None:
    process = start(LIVE, "one", start_new_session=True)
    heard(process, "ready")
    logged(process)
    until(lambda: len(values("p/one")) == 100, "rows are stored while the run is open")
    (pid,) = shipper_pids(fresh_surroundings)
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process).code == -signal.SIGINT
    assert pid in shipper_pids(fresh_surroundings)
    assert Api().run("p/one").state == "killed"
    assert values("p/one") == list(range(100))


@pytest.mark.slow
@pytest.mark.parametrize("program", ["/no/such/python", "", None, "/bin/false"])
def test_where_no_process_can_be_started_a_thread_ships(program: str | None) -> None:
    process = start(
        f"import sys\nsys.executable = {program!r}\n"
        "import weighbridge.sdk.monitor as monitor\nmonitor.LOOK_S, monitor.SPAWNS_MAX = 0.02, 3\n" + LIVE,
        "one",
        env={"WEIGHBRIDGE_SHIP_INTERVAL_S": "0.05"},
    )
    heard(process, "ready")
    logged(process)
    until(lambda: len(values("p/one")) == 100, "rows are stored while the run is open")
    say(process, "end")
    done = ended(process)
    assert done.code == 0
    assert done.err.count("shipping from a thread instead") == 1
    assert "Traceback" not in done.err


def test_a_thread_ships_where_that_is_set(fresh_surroundings: Path) -> None:
    process = start(LIVE, "one", env={"WEIGHBRIDGE_SHIPPER": "thread", "WEIGHBRIDGE_SHIP_INTERVAL_S": "0.05"})
    heard(process, "ready")
    logged(process)
    until(lambda: len(values("p/one")) == 100, "rows are stored while the run is open")
    assert shipper_pids(fresh_surroundings) == []
    say(process, "end")
    assert ended(process).code == 0


def test_off_ships_at_the_end_only(fresh_surroundings: Path) -> None:
    process = start(LIVE, "one", env={"WEIGHBRIDGE_SHIPPER": "off"})
    heard(process, "ready")
    logged(process)
    assert values("p/one") == []
    say(process, "end")
    assert ended(process).code == 0
    assert values("p/one") == list(range(100))


def test_the_second_shipper_of_a_home_leaves_at_once(fresh_surroundings: Path) -> None:
    lock = take_lock(fresh_surroundings / "spool")
    assert lock is not None
    done = run(
        "import sys\nfrom weighbridge.sdk.shipper import main\nsys.exit(main(sys.argv[1:]))\n",
        str(fresh_surroundings),
        "0.5",
        "auto",
    )
    assert (done.code, done.err) == (0, "")
    lock.release()


def test_the_log_is_bounded(fresh_surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "LINGER_S", 0.0)
    path = fresh_surroundings / "spool" / "shipper.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * (shipper.LOG_BYTES_MAX + 1))
    Shipper(client_for(), interval_s=0.01).run()
    assert path.stat().st_size == 0


def test_a_spool_that_stays_unreadable_does_not_fill_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    run_ = weighbridge.init(project="p", id="one", mode="offline")
    run_.finish()
    folder = next(path for path in client_for().spool_dir.iterdir() if (path / "offline").exists())
    (folder / "offline").unlink()
    (folder / "start").unlink()
    capsys.readouterr()
    spool = shipper._Spool(folder)
    turns = Shipper(client_for(), interval_s=0.01)
    for _ in range(50):
        spool.not_before = 0.0
        turns._turn(spool)
    assert 1 <= len(capsys.readouterr().err.splitlines()) <= 4
    assert folder.exists()


def test_waits_grow_up_to_a_minute() -> None:
    spool = shipper._Spool(Path("x"))
    for _ in range(2_000):
        spool.failed(StorageBusy("busy", hint=""))
    assert 0 < spool.not_before


def test_what_ended_runs_left_is_shipped_by_the_shipper_of_the_next(fresh_surroundings: Path) -> None:
    killed = start(LIVE, "dead", env={"WEIGHBRIDGE_SHIPPER": "off"})
    heard(killed, "ready")
    logged(killed)
    killed.kill()
    ended(killed)
    live = start(LIVE, "live")
    heard(live, "ready")
    spool = fresh_surroundings / "spool"
    until(
        lambda: len([path for path in spool.iterdir() if len(path.name) == 24]) == 1, "the orphan is shipped"
    )
    say(live, "end")
    assert ended(live).code == 0
    sync_all()
    assert values("p/dead") == list(range(100))
