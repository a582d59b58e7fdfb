"""Who held an alias when, by the moves alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.alias_history import holder_at, replay
from weighbridge.domain.artifact import AliasEvent

NAMES = st.sampled_from(("latest", "staging", "production"))
TIMES = st.integers(min_value=0, max_value=20).map(float)
VERSIONS = st.none() | st.integers(min_value=0, max_value=3).map(lambda number: f"v{number}")


@st.composite
def moves(draw: st.DrawFn) -> list[AliasEvent]:
    times = sorted(draw(st.lists(TIMES, max_size=12)))
    return [
        AliasEvent(alias=draw(NAMES), at=at, actor="ann", from_version=None, to_version=draw(VERSIONS))
        for at in times
    ]


def test_nothing_held_it_before_the_first_move() -> None:
    event = AliasEvent(alias="production", at=5.0, actor="ann", from_version=None, to_version="v1")
    assert holder_at([], "production", 5.0) is None
    assert holder_at([event], "production", 4.999) is None
    assert holder_at([event], "staging", 5.0) is None
    assert holder_at([event], "production", 5.0) == "v1"


@given(moves(), NAMES, TIMES)
def test_the_holder_is_what_the_last_move_up_to_then_said(
    events: list[AliasEvent], alias: str, at: float
) -> None:
    told = [event.to_version for event in events if event.alias == alias and event.at <= at]
    assert holder_at(events, alias, at) == (told[-1] if told else None)


@given(moves(), NAMES, TIMES, TIMES)
def test_the_holder_changes_only_where_a_move_says_so(
    events: list[AliasEvent], alias: str, one: float, other: float
) -> None:
    first, last = sorted((one, other))
    if not any(event.alias == alias and first < event.at <= last for event in events):
        assert holder_at(events, alias, first) == holder_at(events, alias, last)


@given(moves())
def test_replay_is_the_holder_at_the_end_of_time(events: list[AliasEvent]) -> None:
    held = replay(events)
    for alias in ("latest", "staging", "production"):
        assert held.get(alias) == holder_at(events, alias, float("inf"))
