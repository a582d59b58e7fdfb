"""What the client says to the person at the terminal: on stderr, prefixed, once where once is enough."""

from __future__ import annotations

import os
import sys
import threading

_said: set[str] = set()
_lock = threading.Lock()
_level = "normal"


def set_level(level: str) -> None:
    """`normal` says all, `quiet` only warnings, `silent` nothing."""
    global _level
    _level = level


def notice(text: str) -> None:
    """Say something the person should know."""
    _write(text, wanted=_level == "normal")


def warn(text: str) -> None:
    """Say that something is wrong."""
    _write(f"warning: {text}", wanted=_level != "silent")


def warn_once(key: str, text: str) -> None:
    """Say that something is wrong, once a process for each `key`."""
    with _lock:
        if key in _said:
            return
        _said.add(key)
    warn(text)


def _write(text: str, *, wanted: bool) -> None:
    if not wanted or sys.stderr is None:
        return
    try:
        sys.stderr.write(f"weighbridge: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # a closed stderr must not stop training
        return


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
