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
_hook: Callable[[type[BaseException], BaseException, TracebackType | None], object] | None = None

KILLED_BY_INTERRUPT = 130
"""128 + SIGINT, as shells report it."""


def outcome() -> tuple[int, bool]:
    """The process's exit code as far as it is known, and whether Ctrl-C ended it.

    Not known is the code of a `SystemExit` that a script raised by itself and not by `sys.exit`: Python tells
    nobody.
    """
    if _hook is not None and sys.excepthook is not _hook and not hasattr(sys, "ps1"):
        # Somebody put a hook in the place of ours; what Python keeps for post-mortem tells as much.
        kind = getattr(sys, "last_type", None)
        if isinstance(kind, type) and _exit_code == 0:
            interrupted = issubclass(kind, KeyboardInterrupt)
            return (KILLED_BY_INTERRUPT if interrupted else 1), interrupted
    return _exit_code, _interrupted


def install(finish_open_runs: Callable[[], None]) -> None:
    """Have `finish_open_runs` called at interpreter exit; the second call changes nothing.

    The exit code is learned from `sys.excepthook` and `sys.exit`, which go on working as they did.
    """
    global _installed, _hook
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
        if threading.current_thread() is threading.main_thread():  # elsewhere it ends the thread only
            _exit_code = 0 if status is None else int(status) if isinstance(status, int) else 1
        previous_exit(status)  # type: ignore[arg-type]  # as wide as sys.exit itself

    sys.excepthook = _hook = excepthook
    sys.exit = leave  # type: ignore[assignment]  # same behaviour, one argument
    atexit.register(finish_open_runs)
