"""Learns how the process ends, so that open runs can be finished with the truth."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from types import TracebackType

_lock = threading.Lock()
_installed = False
_exit_code = 0
_interrupted = False

KILLED_BY_INTERRUPT = 130
"""128 + SIGINT, as shells report it."""


def outcome() -> tuple[int, bool]:
    """The process's exit code as far as it is known, and whether Ctrl-C ended it."""
    return _exit_code, _interrupted


def install(finish_open_runs: Callable[[], None]) -> None:
    """Have `finish_open_runs` called at interpreter exit; the second call changes nothing.

    The exit code is learned from `sys.excepthook` and `sys.exit`, which go on working as they did.
    """
    global _installed
    with _lock:
        if _installed:
            return
        _installed = True
    previous_hook, previous_exit = sys.excepthook, sys.exit

    def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        global _exit_code, _interrupted
        _interrupted = issubclass(kind, KeyboardInterrupt)
        _exit_code = KILLED_BY_INTERRUPT if _interrupted else 1
        previous_hook(kind, error, traceback)

    def leave(status: object = None, /) -> None:
        global _exit_code
        if status is None:
            _exit_code = 0
        else:
            _exit_code = status if isinstance(status, int) else 1
        previous_exit(status)  # type: ignore[arg-type]  # as wide as sys.exit itself

    sys.excepthook = excepthook
    sys.exit = leave  # type: ignore[assignment]  # same behaviour, one argument
    atexit.register(finish_open_runs)
