"""A clock that moves only when told to, for tests of anything that takes a Clock."""

from __future__ import annotations


class FakeClock:
    """A Clock at a chosen moment. Not for use by several threads."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Unix seconds."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move on; the new time."""
        self._now += seconds
        return self._now
