"""Watches over shipping from inside the training process, by one sleeping thread that wakes once a second.

It starts the home's shipper process once a run has lived long enough to need one (a short run is shipped by
its own `finish()`), and starts it anew should it die. Where no process can be started it ships from this
thread, in small slices.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.errors import WeighbridgeError
from weighbridge.sdk.notices import warn_once
from weighbridge.sdk.spool import SHIPPER_LOG

if TYPE_CHECKING:
    from weighbridge.sdk.run import Run
    from weighbridge.settings import Settings

FIRST_LOOK_S = 1.0
LOOK_S = 5.0
SPAWNS_MAX = 20
CHILD_WAIT_S = 30.0


class Monitor:
    """One for each home and process. `watch` adds a run; the thread ends when no open run is left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runs: weakref.WeakSet[Run] = weakref.WeakSet()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._spawns = 0
        self._uses_thread = settings.shipper == "thread"

    def watch(self, run: Run) -> None:
        """Look after a run until it is finished."""
        with self._lock:
            self._runs.add(run)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name="weighbridge-monitor", daemon=True)
                self._thread.start()

    def forget(self, run: Run) -> None:
        """A run is finished."""
        with self._lock:
            self._runs.discard(run)
            if not self._runs:
                self._wake.set()

    def _loop(self) -> None:
        wait_s: float | None = FIRST_LOOK_S
        while wait_s is not None:
            self._wake.wait(wait_s)
            wait_s = self._look()

    def _look(self) -> float | None:
        """See to the open runs; seconds until the next look, None where no run is open."""
        with self._lock:
            self._wake.clear()
            runs = [run for run in self._runs if not run.is_finished]
            if not runs:
                self._thread = None
                return None
        if not self._uses_thread:
            self._ensure_shipper()
        if self._uses_thread:
            self._ship_here(runs)
        for run in runs:
            run.retry_backlog()
        return self._settings.ship_interval_s if self._uses_thread else LOOK_S

    def _ensure_shipper(self) -> None:
        """Start a shipper unless one is at work; it is asked by its lock, which goes with the process."""
        from weighbridge.sdk.shipper import take_lock

        try:
            lock = take_lock(self._settings.home / "spool")
        except OSError:
            return  # the run's spool lies in the same folder, and says what is wrong with the disk
        if lock is None:
            return
        lock.release()
        if self._spawns >= SPAWNS_MAX:
            self._uses_thread = True
            warn_once("shipper", "the shipper process keeps dying; shipping from a thread instead.")
            return
        try:
            spawn_shipper(self._settings)
            self._spawns += 1
        except (OSError, subprocess.TimeoutExpired) as error:
            self._uses_thread = True
            warn_once(
                "shipper", f"no shipper process could be started ({error}); shipping from a thread instead."
            )

    def _ship_here(self, runs: list[Run]) -> None:
        for run in runs:
            try:
                run.ship_slice()
            except WeighbridgeError as error:
                warn_once(f"ship {run.id}", f"run {run.id}: {error} Logging goes on; it will be tried again.")
                time.sleep(min(5.0, self._settings.ship_interval_s))


# A grandchild ships: a script that waits for its own children must not wait for, or be told of, the shipper.
_BOOT = """import os, sys
if os.fork():
    os._exit(0)
sys.path.insert(0, sys.argv[1])
from weighbridge.sdk.shipper import main
sys.exit(main(sys.argv[2:]))"""


def spawn_shipper(settings: Settings) -> None:
    """Start a shipper that outlives this process. Raises OSError, and TimeoutExpired where what Python says is
    its interpreter is another program.
    """
    if not sys.executable:
        raise FileNotFoundError("the path of the Python interpreter is not known")
    root = str(Path(__file__).resolve().parents[2])
    home = settings.home.absolute()
    arguments = [str(home), str(settings.ship_interval_s), settings.network_home]
    with (home / "spool" / SHIPPER_LOG).open("ab") as log:
        # -P and our own path entry: a `random.py` beside the script must not stand in for Python's.
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, root, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    try:
        child.wait(CHILD_WAIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise


_monitors: dict[Path, Monitor] = {}
_lock = threading.Lock()


def monitor_for(settings: Settings) -> Monitor:
    """The process's monitor of a home."""
    with _lock:
        return _monitors.setdefault(settings.home, Monitor(settings))


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _monitors.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
