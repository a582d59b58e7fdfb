"""`kill -9` at chosen moments of shipping, finishing and adopting: nothing is lost, nothing stands twice."""

from __future__ import annotations

import os
import random
import select
import signal
from pathlib import Path

import pytest

from tests.fault.processes import (
    ended,
    folded,
    heard,
    run,
    shipper_pids,
    start,
    sync_all,
    until,
    values,
)
from weighbridge import Api
from weighbridge.sdk.client import client_for
from weighbridge.sdk.sender import GONE

DIE_AT = """
import os, signal, sys
def die_at(point):
    from weighbridge.sdk import sender
    def die(*args, **kw):
        os.kill(os.getpid(), signal.SIGKILL)
    kept = {}
    if point == "before the first batch":
        sender.Sender._append = die
    elif point == "stored, not noted":
        sender.Sender._ack = die
    elif point == "noted, not removed":
        sender.Sender.remove = die
    elif point == "half removed":
        sender.shutil.rmtree = die
    else:
        sys.exit("no such point")
"""
POINTS = ["before the first batch", "stored, not noted", "noted, not removed", "half removed"]

LOG = """
import weighbridge
run = weighbridge.init(project="p", id="one")
run.define_metric("loss", summary="min,mean,last")
for index in range(500):
    run.log({"value": index, "loss": 1.0 / (index + 1)})
"""


def leftovers() -> list[str]:
    return [name for name in os.listdir(client_for().spool_dir) if not name.startswith("shipper")]


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_inside_finish_has_finished(point: str) -> None:
    done = run(f"{DIE_AT}{LOG}die_at({point!r})\nrun.finish()\n")
    assert done.code == -signal.SIGKILL, done.err
    sync_all()
    stored = Api().run("p/one")
    assert values("p/one") == list(range(500))
    assert stored.state == "finished"
    assert stored.summary["loss"] == {
        "min": 1 / 500,
        "mean": pytest.approx(sum(1 / i for i in range(1, 501)) / 500),
        "last": 1 / 500,
    }
    assert [name for name in leftovers() if not name.startswith(".shipper")] == []


@pytest.mark.parametrize("point", POINTS)
def test_an_adopter_killed_at_its_work_leaves_it_to_the_next(point: str) -> None:
    killed = run(
        LOG + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", env={"WEIGHBRIDGE_QUIET": "true"}
    )
    assert killed.code == -signal.SIGKILL
    adopter = run(
        f"{DIE_AT}die_at({point!r})\n"
        "from weighbridge.sdk.adopt import adopt_orphans\n"
        "from weighbridge.sdk.client import client_for\n"
        "adopt_orphans(client_for())\n"
    )
    assert adopter.code == -signal.SIGKILL, adopter.err
    sync_all()
    assert values("p/one") == list(range(500))
    assert Api().run("p/one").state == "crashed"
    assert not [name for name in leftovers() if name.startswith(GONE)]


def test_the_summary_of_a_killed_run_is_what_its_rows_add_up_to() -> None:
    process = start(
        "import weighbridge, itertools\n"
        "run = weighbridge.init(project='p', id='one')\n"
        "print('ready', flush=True)\n"
        "for index in itertools.count():\n"
        "    run.log({'value': index, 'val': {'loss': 1.0 / (index + 1)}})\n"
        "    if index == 2_000: print('logged', flush=True)\n"
    )
    heard(process, "ready")
    heard(process, "logged")
    process.kill()
    ended(process)
    sync_all()
    summary = dict(Api().run("p/one").summary)
    assert summary["value"] >= 2_000
    assert summary == folded("p/one")


LIVE = """
import weighbridge, sys
run = weighbridge.init(project="p", id="live")
index = 0
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "end":
        break
    for _ in range(100):
        run.log({"value": index})
        index += 1
    print("logged", flush=True)
"""


def say(process: object, word: str) -> None:
    stream = getattr(process, "stdin", None)
    assert stream is not None
    stream.write(word + "\n")
    stream.flush()


@pytest.mark.slow
def test_a_killed_shipper_is_followed_by_another(fresh_surroundings: Path) -> None:
    process = start(LIVE)
    heard(process, "ready")
    say(process, "log")
    heard(process, "logged")
    until(lambda: shipper_pids(fresh_surroundings), "a shipper is at work")
    until(lambda: len(values("p/live")) == 100, "the first rows are stored")
    first = shipper_pids(fresh_surroundings)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    say(process, "log")
    heard(process, "logged")
    until(lambda: len(values("p/live")) == 200, "the rows after the kill are stored")
    assert set(shipper_pids(fresh_surroundings)).isdisjoint(first)
    say(process, "end")
    assert ended(process).code == 0
    assert values("p/live") == list(range(200))
    assert Api().run("p/live").state == "finished"


@pytest.mark.slow
def test_kills_at_random_moments_of_finishing() -> None:
    chance = random.Random(7)
    for number in range(12):
        process = start(
            LOG.replace('"one"', f'"r{number}"') + "print('finishing', flush=True)\nrun.finish()\n"
        )
        heard(process, "finishing")
        select.select([], [], [], chance.uniform(0, 0.02))
        process.kill()
        ended(process)
    sync_all()
    for number in range(12):
        assert values(f"p/r{number}") == list(range(500))
        assert Api().run(f"p/r{number}").state in ("finished", "crashed")
