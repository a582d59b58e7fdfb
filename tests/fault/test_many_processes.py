"""Several processes at once in one home: every row and every artifact is there, and nobody is told of an error."""

from __future__ import annotations

import pytest

from tests.fault.processes import ended, folded, heard, start, sync_all, values
from weighbridge import Api
from weighbridge.sdk.adopt import statuses
from weighbridge.sdk.client import client_for

PROCESSES = 8
ROWS = 2_000

WORK = """
import pathlib, sys, tempfile, weighbridge
number = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
run = weighbridge.init(project="p", id=f"run-{number}")
for index in range(2_000):
    run.log({"value": index, "who": number})
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "weights.bin")
    path.write_bytes(bytes([number]) * 10_000)
    own = weighbridge.Artifact(f"model-{number}", "model")
    own.add_file(path)
    run.log_artifact(own)
    shared = weighbridge.Artifact("shared", "dataset")
    shared.add_file(path)
    run.log_artifact(shared)
    run.link_artifact(own, "model-registry/All")
run.finish()
"""


@pytest.mark.slow
def test_eight_processes_log_into_one_home_without_an_error() -> None:
    processes = [start(WORK, str(number), env={"WEIGHBRIDGE_QUIET": "true"}) for number in range(PROCESSES)]
    for process in processes:
        heard(process, "ready")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        end = ended(process)
        assert (end.code, end.err) == (0, "")
    assert statuses(client_for()) == []
    api = Api()
    names = set()
    for number in range(PROCESSES):
        run = api.run(f"p/run-{number}")
        names.add(run.name.rpartition("-")[2])
        assert run.state == "finished"
        assert values(f"p/run-{number}") == list(range(ROWS))
        assert dict(run.summary) == {"value": ROWS - 1, "who": number}
        assert api.artifact(f"p/model-{number}:latest").logged_by().id == f"run-{number}"  # type: ignore[union-attr]  # it has one
    assert names == {str(number) for number in range(1, PROCESSES + 1)}
    shared = {api.artifact(f"p/shared:v{number}").digest for number in range(PROCESSES)}
    assert len(shared) == PROCESSES
    linked = {api.artifact(f"model-registry/All:v{number}").digest for number in range(PROCESSES)}
    assert len(linked) == PROCESSES


def test_one_run_id_in_two_processes_at_once_keeps_the_rows_of_both() -> None:
    code = (
        "import sys, weighbridge\n"
        "run = weighbridge.init(project='p', id='both')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for step in range(500): run.log({sys.argv[1]: step}, step=step)\n"
    )
    processes = [start(code, name) for name in ("left", "right")]
    for process in processes:
        heard(process, "ready")
    ends = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        ends.append(ended(process))
    assert [end.code for end in ends] == [0, 0]
    assert "being written by another process" in ends[0].err + ends[1].err
    sync_all()
    assert values("p/both", "left") == values("p/both", "right") == list(range(500))
    assert dict(Api().run("p/both").summary) == folded("p/both")
    assert Api().run("p/both").state == "finished"


@pytest.mark.parametrize("resume", ["must", "allow", "auto"])
def test_a_killed_run_is_continued_after_its_last_row(resume: str) -> None:
    """The killed process shipped nothing: what it left must be stored before the next step is chosen."""
    first = start(
        "import os, signal, sys, weighbridge\n"
        "run = weighbridge.init(project='p', id=sys.argv[1] or None, resume=sys.argv[2])\n"
        "for index in range(100): run.log({'value': index})\n"
        "print(run.id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
        "" if resume == "auto" else "one",
        "auto" if resume == "auto" else "allow",
    )
    run_id = ended(first).out.strip()
    second = ended(
        start(
            "import sys, weighbridge\n"
            "run = weighbridge.init(project='p', id=sys.argv[1] or None, resume=sys.argv[2])\n"
            "print(run.id, run.step, run.resumed)\n"
            "for index in range(100, 200): run.log({'value': index})\n",
            "" if resume == "auto" else "one",
            resume,
        )
    )
    assert second.out.split() == [run_id, "100", "True"], second.err
    sync_all()
    assert values(f"p/{run_id}") == list(range(200))
    assert Api().run(f"p/{run_id}").state == "finished"


def test_never_refuses_a_run_that_was_killed() -> None:
    ended(
        start(
            "import os, weighbridge\nweighbridge.init(project='p', id='one').log({'value': 0})\nos._exit(1)\n"
        )
    )
    again = ended(start("import weighbridge\nweighbridge.init(project='p', id='one', resume='never')\n"))
    assert again.code == 1
    assert "AlreadyExists" in again.err and "p/one" in again.err
    assert Api().run("p/one").state == "crashed"
