"""The port of time, so that tests can own it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Where services get the time from."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...
