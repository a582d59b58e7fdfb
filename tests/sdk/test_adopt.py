"""Adopting: only what the dead left, once whoever asks, and one bad spool never stops the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import weighbridge
from tests.fault.processes import ended, heard, run, start, sync, until, values
from weighbridge import Api
from weighbridge.sdk.adopt import STALE_NEW_S, adopt_orphans, statuses
from weighbridge.sdk.client import client_for
from weighbridge.sdk.sender import GONE

KILLED = """
import os, signal, sys, weighbridge
for name in sys.argv[1:]:
    run = weighbridge.init(project="p", id=name, reinit="create_new")
    for index in range(300):
        run.log({"value": index})
os.kill(os.getpid(), signal.SIGKILL)
"""
ADOPT = """
import sys
from weighbridge.sdk.adopt import adopt_orphans
from weighbridge.sdk.client import client_for
client = client_for()
client.transport
print("ready", flush=True)
sys.stdin.readline()
done = adopt_orphans(client)
print(sum(one.error is None for one in done), sum(one.error is not None for one in done))
"""
OFF = {"WEIGHBRIDGE_SHIPPER": "off"}
NAMES = [f"run-{number}" for number in range(6)]


def test_what_the_living_write_is_never_adopted() -> None:
    with weighbridge.init(project="p", id="live", settings={"shipper": "off"}) as live:
        live.log({"value": 1})
        assert sync() == []
        (status,) = statuses(client_for())
        assert status.is_live and status.size_bytes > 0
        live.log({"value": 2})
    assert values("p/live") == [1, 2]


def test_several_adopters_at_once_share_the_work_without_an_error() -> None:
    run(KILLED, *NAMES, env=OFF)
    adopters = [start(ADOPT) for _ in range(4)]
    for adopter in adopters:
        heard(adopter, "ready")
    done = []
    for adopter in adopters:
        assert adopter.stdin is not None
        adopter.stdin.write("go\n")
        adopter.stdin.flush()
    for adopter in adopters:
        end = ended(adopter)
        assert (end.code, end.err) == (0, "")
        done.append([int(word) for word in end.out.split()])
    assert sum(good for good, _ in done) == len(NAMES)
    assert sum(bad for _, bad in done) == 0
    for name in NAMES:
        assert values(f"p/{name}") == list(range(300))
        assert Api().run(f"p/{name}").state == "crashed"


def test_opening_the_home_to_read_is_enough() -> None:
    run(KILLED, "one", env=OFF)
    assert Api().run("p/one").state == "crashed"
    assert values("p/one") == list(range(300))
    assert statuses(client_for()) == []


def test_the_spool_of_a_deleted_run_stops_no_other() -> None:
    run(KILLED, "gone", env=OFF)
    Api().run("p/gone").delete()
    process = start(
        "import sys, weighbridge\n"
        "run = weighbridge.init(project='p', id='deleted-later')\n"
        "run.log({'value': 1})\nprint('ready', flush=True)\nsys.stdin.readline()\n",
        env=OFF,
    )
    heard(process, "ready")
    Api().run("p/deleted-later").delete()
    process.kill()
    ended(process)
    run(KILLED, "other", env=OFF)
    done = adopt_orphans(client_for())
    assert sorted(one.error is None for one in done) == [False, True]
    assert values("p/other") == list(range(300))


def test_leftovers_of_the_dead_are_cleared_and_those_of_the_living_kept(fresh_surroundings: Path) -> None:
    spool = fresh_surroundings / "spool"
    (spool / ".new-young").mkdir(parents=True)
    (spool / ".new-old").mkdir()
    (spool / f"{GONE}stored").mkdir()
    (spool / f"{GONE}stored" / "acked").write_bytes(b"")
    long_ago = (spool / ".new-old").stat().st_mtime - STALE_NEW_S - 1
    os.utime(spool / ".new-old", (long_ago, long_ago))
    adopt_orphans(client_for())
    assert sorted(path.name for path in spool.iterdir()) == [".new-young"]


@pytest.mark.slow
def test_a_finish_that_was_killed_is_taken_over_by_a_living_shipper(fresh_surroundings: Path) -> None:
    """The mark that says "I ship the rest myself" must not outlive its process."""
    live = start(
        "import sys, weighbridge\nrun = weighbridge.init(project='p', id='live')\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
    )
    heard(live, "ready")
    killed = run(
        "import os, signal, weighbridge\n"
        "from weighbridge.sdk import finishing\n"
        "run = weighbridge.init(project='p', id='killed')\n"
        "for index in range(300): run.log({'value': index})\n"
        "finishing.ship_rest = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "run.finish()\n",
        env=OFF,
    )
    assert killed.code == -9
    marked = [path for path in (fresh_surroundings / "spool").iterdir() if (path / "finishing").exists()]
    assert len(marked) == 1
    until(lambda: not marked[0].exists(), "the shipper takes it over")
    assert Api().run("p/killed").state == "finished"
    assert values("p/killed") == list(range(300))
    ended(live)
