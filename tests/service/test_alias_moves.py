"""Laws of aliases under any sequence of log, link, move, remove, unlink and delete, against a simple model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.service.artifact_world import ANN, ENTITY, PROJECT, REGISTRY, World
from weighbridge.domain.alias_history import holder_at, replay
from weighbridge.domain.artifact import AliasEvent, VersionRecord
from weighbridge.errors import Conflict
from weighbridge.wire.artifacts import AliasHistory, DeleteVersion, ListVersions, UnlinkVersion

ALIASES = st.sampled_from(("staging", "production", "best"))
SEQUENCE, PORTFOLIO = "Digits", "Two Words"
PLACES = ((PROJECT, SEQUENCE), (REGISTRY, PORTFOLIO))
CONTENTS = st.integers(min_value=0, max_value=5)


class AliasMachine(RuleBasedStateMachine):
    """Does to the registry what it does to a few dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name) / "metadata.sqlite")
        self.sequence: dict[int, VersionRecord] = {}  # number in the sequence -> version, live ones
        self.portfolio: dict[int, int] = {}  # number in the portfolio -> version id, live ones
        self.held: dict[str, dict[str, int]] = {SEQUENCE: {}, PORTFOLIO: {}}
        self.past: list[tuple[float, dict[str, dict[str, int]]]] = []

    def teardown(self) -> None:
        self.world.close()
        self.folder.cleanup()

    def _passed(self) -> None:
        """Remember the state as it is until the next move."""
        self.past.append((self.world.clock.at, {name: dict(held) for name, held in self.held.items()}))
        self.world.clock.at += 1.0

    def _pick(self, index: int) -> VersionRecord:
        keys = sorted(self.sequence)
        return self.sequence[keys[index % len(keys)]]

    def _linked(self, version_id: int) -> int | None:
        return next((number for number, held in self.portfolio.items() if held == version_id), None)

    def _drop(self, collection: str, number: int, *, left: list[int]) -> None:
        held = self.held[collection]
        for alias in [alias for alias, holder in held.items() if holder == number]:
            del held[alias]
            if alias == "latest" and left:
                held[alias] = max(left)

    @rule(content=CONTENTS, aliases=st.lists(ALIASES, max_size=2))
    def log(self, content: int, aliases: list[str]) -> None:
        version = self.world.log(SEQUENCE, str(content), aliases=tuple(aliases))
        number = int(version.version[1:])
        self.sequence[number] = version
        self.held[SEQUENCE].update(dict.fromkeys([*aliases, "latest"], number))
        self._passed()

    @precondition(lambda self: self.sequence)
    @rule(index=st.integers(0, 20), aliases=st.lists(ALIASES, max_size=2))
    def link(self, index: int, aliases: list[str]) -> None:
        version = self._pick(index)
        known = self._linked(version.version_id)
        number = int(self.world.link(version, PORTFOLIO, aliases=tuple(aliases)).version[1:])
        assert known in (None, number)
        assert known is not None or all(number > other for other in self.portfolio)
        self.portfolio[number] = version.version_id
        self.held[PORTFOLIO].update(dict.fromkeys(aliases, number))
        if known is None:
            self.held[PORTFOLIO]["latest"] = number
        self._passed()

    @precondition(lambda self: self.sequence)
    @rule(index=st.integers(0, 20), added=st.sets(ALIASES), removed=st.sets(ALIASES), linked=st.booleans())
    def move(self, index: int, added: set[str], removed: set[str], linked: bool) -> None:
        version = self._pick(index)
        removed -= added
        name, number = SEQUENCE, int(version.version[1:])
        if linked:
            place = self._linked(version.version_id)
            if place is None:
                return
            name, number = PORTFOLIO, place
            version = self.world.find(PORTFOLIO, f"v{number}", project=REGISTRY)
        self.world.move(version, added=tuple(sorted(added)), removed=tuple(sorted(removed)))
        held = self.held[name]
        for alias in removed:
            if held.get(alias) == number:
                del held[alias]
        held.update(dict.fromkeys(added, number))
        self._passed()

    @precondition(lambda self: self.portfolio)
    @rule(index=st.integers(0, 20))
    def unlink(self, index: int) -> None:
        numbers = sorted(self.portfolio)
        number = numbers[index % len(numbers)]
        request = UnlinkVersion(
            version_id=self.portfolio.pop(number), entity=ENTITY, project=REGISTRY, collection=PORTFOLIO
        )
        self.world.artifacts.unlink(ANN, request)
        self._drop(PORTFOLIO, number, left=list(self.portfolio))
        self._passed()

    @precondition(lambda self: self.sequence)
    @rule(index=st.integers(0, 20), force=st.booleans())
    def delete(self, index: int, force: bool) -> None:
        version = self._pick(index)
        number, linked = int(version.version[1:]), self._linked(version.version_id)
        guarded = {alias for alias, holder in self.held[SEQUENCE].items() if holder == number}
        if linked is not None:
            guarded |= {alias for alias, holder in self.held[PORTFOLIO].items() if holder == linked}
        request = DeleteVersion(version_id=version.version_id, delete_aliases=force)
        if guarded - {"latest"} and not force:
            with pytest.raises(Conflict):
                self.world.artifacts.delete(ANN, request)
            return
        self.world.artifacts.delete(ANN, request)
        del self.sequence[number]
        self._drop(SEQUENCE, number, left=list(self.sequence))
        if linked is not None:
            del self.portfolio[linked]
            self._drop(PORTFOLIO, linked, left=list(self.portfolio))
        self._passed()

    def _events(self, project: str, name: str) -> tuple[AliasEvent, ...]:
        request = AliasHistory(entity=ENTITY, project=project, collection=name, limit=10_000)
        return self.world.artifacts.alias_history(ANN, request).events

    def _exists(self, name: str) -> bool:
        return any(name in state and state[name] for _, state in self.past)

    @invariant()
    def state_is_the_models(self) -> None:
        for project, name in PLACES:
            if not self._exists(name):
                continue
            wanted = {alias: f"v{number}" for alias, number in self.held[name].items()}
            record = self.world.artifacts.get_collection(ANN, ENTITY, project, name=name)
            assert record.aliases == wanted
            assert replay(self._events(project, name)) == wanted
            live = self.sequence if name == SEQUENCE else self.portfolio
            assert record.version_count == len(live)
            page = self.world.artifacts.list_versions(
                ANN, ListVersions(entity=ENTITY, project=project, collection=name)
            )
            assert [int(version.version[1:]) for version in page.versions] == sorted(live, reverse=True)
            carried = [alias for version in page.versions for alias in version.aliases]
            assert sorted(carried) == sorted(wanted), "each alias is carried by exactly one version"
            assert bool(live) == ("latest" in wanted)

    @invariant()
    def history_answers_for_every_moment(self) -> None:
        for project, name in PLACES:
            if not self._exists(name):
                continue
            events = self._events(project, name)
            for at, state in self.past[-6:]:
                for alias in ("latest", "staging", "production", "best"):
                    number = state[name].get(alias)
                    for moment in (at, at + 0.9):
                        assert holder_at(events, alias, moment) == (None if number is None else f"v{number}")


AliasMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAliases = AliasMachine.TestCase
