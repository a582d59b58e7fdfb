"""What the moves of aliases tell: who held one at a moment, and who holds each after all. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable

from weighbridge.domain.artifact import AliasEvent


def holder_at(events: Iterable[AliasEvent], alias: str, at: float) -> str | None:
    """The `vN` that `alias` pointed to at unix second `at`, or None if nothing held it.

    A move counts from its own moment on; of moves at one moment the last one stands. `events` are those of
    one collection, oldest first, as the registry gives them; other aliases among them are passed over.
    """
    held: str | None = None
    for event in events:
        if event.at > at:
            break
        if event.alias == alias:
            held = event.to_version
    return held


def replay(events: Iterable[AliasEvent]) -> dict[str, str]:
    """alias -> `vN` after the moves of one collection, oldest first."""
    held: dict[str, str] = {}
    for event in events:
        if event.to_version is None:
            held.pop(event.alias, None)
        else:
            held[event.alias] = event.to_version
    return held
