"""How a process ends is told truly, and the hooks of the user's script still run."""

from __future__ import annotations

import signal

import pytest

from tests.fault.processes import ended, heard, run, start, sync_all
from weighbridge import Api

INIT = "import os, sys, threading, weighbridge\nrun = weighbridge.init(project='p', id='one')\nrun.log({'value': 1})\n"


def outcome() -> tuple[str, int | None]:
    sync_all()
    stored = Api().run("p/one")
    assert [row["value"] for row in stored.scan_history(keys=["value"])] == [1]
    return stored.state, stored._record.exit_code


@pytest.mark.parametrize(
    ("ending", "state", "code", "status"),
    [
        ("", "finished", 0, 0),
        ("raise ValueError('boom')", "failed", 1, 1),
        ("raise KeyboardInterrupt", "killed", 130, -signal.SIGINT),
        ("sys.exit(3)", "failed", 3, 3),
        ("sys.exit('some text')", "failed", 1, 1),
        ("sys.exit()", "finished", 0, 0),
        ("from sys import exit; exit(4)", "failed", 4, 4),
        ("os._exit(5)", "crashed", None, 5),
        ("os.abort()", "crashed", None, -signal.SIGABRT),
        ("os.kill(os.getpid(), 15)", "crashed", None, -signal.SIGTERM),
        ("with run:\n    raise RuntimeError('inside')", "failed", 1, 1),
        ("with run:\n    sys.exit(6)", "failed", 6, 6),
        (
            "def fail(): raise ValueError\nthread = threading.Thread(target=fail)\nthread.start()\nthread.join()",
            "finished",
            0,
            0,
        ),
        (
            "thread = threading.Thread(target=sys.exit, args=(9,))\nthread.start()\nthread.join()",
            "finished",
            0,
            0,
        ),
        (
            "sys.excepthook = lambda *about: None\nraise ValueError('hook replaced after init')",
            "failed",
            1,
            1,
        ),
    ],
)
def test_the_state_and_the_exit_code_say_how_the_process_ended(
    ending: str, state: str, code: int | None, status: int
) -> None:
    done = run(INIT + ending + "\n")
    assert done.code == status, done.err
    assert outcome() == (state, code)


def test_an_interrupt_from_outside_marks_the_run_killed() -> None:
    process = start(INIT + "print('ready', flush=True)\nsys.stdin.readline()\n")
    heard(process, "ready")
    process.send_signal(signal.SIGINT)
    assert ended(process).code == -signal.SIGINT
    assert outcome() == ("killed", 130)


def test_a_run_that_nobody_holds_is_finished_at_the_end() -> None:
    done = run(
        "import gc, weighbridge\n"
        "def train():\n"
        "    weighbridge.init(project='p', id='one').log({'value': 1})\n"
        "train()\n"
        "gc.collect()\n"
    )
    assert done.code == 0
    assert outcome() == ("finished", 0)


def test_the_users_own_hooks_are_called() -> None:
    done = run(
        "import atexit, sys\n"
        "sys.excepthook = lambda kind, error, trace: print('their hook:', error)\n"
        "first = sys.exit\n"
        "def leave(status=None):\n"
        "    print('their exit:', status)\n"
        "    first(status)\n"
        "sys.exit = leave\n"
        "atexit.register(lambda: print('registered before init'))\n"
        + INIT
        + "atexit.register(lambda: run.log({'value': 2}) or print('registered after init'))\n"
        "try:\n"
        "    sys.exit(0)\n"
        "except SystemExit:\n"
        "    raise ValueError('boom') from None\n"
    )
    assert done.out.splitlines() == [
        "their exit: 0",
        "their hook: boom",
        "registered after init",
        "registered before init",
    ]
    assert done.code == 1
    sync_all()
    assert Api().run("p/one").state == "failed"
    assert dict(Api().run("p/one").summary) == {"value": 2}


def test_several_open_runs_are_all_finished_at_exit() -> None:
    done = run(
        "import weighbridge\n"
        "for name in ('a', 'b', 'c'):\n"
        "    weighbridge.init(project='p', id=name, reinit='create_new').log({'value': 1})\n"
        "raise ValueError\n"
    )
    assert done.code == 1
    assert [Api().run(f"p/{name}").state for name in "abc"] == ["failed"] * 3
