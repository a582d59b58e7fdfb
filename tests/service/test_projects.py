"""Projects and registries: read by path, made by hand, counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.run_world import World, ref
from weighbridge.domain.registry import ProjectKind
from weighbridge.errors import InvalidInput, InvalidName, ProjectNotFound


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.close()


def test_a_missing_project_is_named_with_what_is_near(world: World) -> None:
    world.start()
    with pytest.raises(ProjectNotFound) as caught:
        world.transport.projects.get("ada", "digitz")
    assert caught.value.details["nearest"] == ["ada/digits"]
    with pytest.raises(ProjectNotFound) as far:
        world.transport.projects.get("ada", "quite-something-else")
    assert far.value.hint


@pytest.mark.parametrize("name", ["a/b", "..", "", "x" * 129])
def test_a_bad_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidName):
        world.transport.projects.create("ada", name)
    with pytest.raises(InvalidInput):
        world.transport.projects.create("ada", "fine", description="x" * 65_537)
    assert world.transport.projects.list_projects().projects == ()


@pytest.mark.parametrize("limit", [0, 1_001])
def test_pages_are_bounded(world: World, limit: int) -> None:
    with pytest.raises(InvalidInput):
        world.transport.projects.list_projects(limit=limit)


def test_creating_again_gives_the_same_project(world: World) -> None:
    first = world.transport.projects.create("ada", "vision", description="d")
    assert (first.kind, first.description) == (ProjectKind.PROJECT, "d")
    assert world.transport.projects.create("ada", "vision") == first
    assert world.transport.projects.create("ada", "model-registry").kind is ProjectKind.REGISTRY


def test_counts_leave_out_the_deleted(world: World) -> None:
    world.made("r1")
    world.made("r2")
    world.runs.delete(ref("r1"))
    assert world.transport.projects.get("ada", "digits").run_count == 1


def test_pages_go_on_by_path_over_all_entities(world: World) -> None:
    paths = [("ada", "a"), ("ada", "b"), ("bob", "a"), ("bob", "c")]
    for entity, name in reversed(paths):
        world.transport.projects.create(entity, name)
    seen: list[str] = []
    cursor: str | None = None
    for _ in paths:
        page = world.transport.projects.list_projects(cursor=cursor, limit=1)
        seen += [project.path for project in page.projects]
        cursor = page.next_cursor
    assert cursor is None
    assert seen == [f"{entity}/{name}" for entity, name in paths]
    assert [p.name for p in world.transport.projects.list_projects("bob").projects] == ["a", "c"]
