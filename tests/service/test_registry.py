"""Links, portfolios, collections and alias history, refusals first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.service.artifact_world import ANN, BEN, ENTITY, PROJECT, REGISTRY, World
from weighbridge.domain.alias_history import holder_at, replay
from weighbridge.domain.artifact import AliasEvent, CollectionKind
from weighbridge.domain.run import RunRef
from weighbridge.errors import (
    AliasNotFound,
    AlreadyExists,
    ArtifactNotFound,
    CollectionNotFound,
    Conflict,
    InvalidInput,
    InvalidName,
    LimitExceeded,
    ProjectNotFound,
    RunNotFound,
    TypeMismatch,
)
from weighbridge.wire.artifacts import (
    AliasHistory,
    DeleteVersion,
    ListCollections,
    UnlinkVersion,
    UpdateCollection,
)

BDD = "BDD Semantic Segmentation"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "metadata.sqlite")
    yield made
    made.close()


def history(
    world: World, collection: str, *, project: str = PROJECT, **rest: object
) -> tuple[AliasEvent, ...]:
    request = AliasHistory(entity=ENTITY, project=project, collection=collection)
    return world.artifacts.alias_history(ANN, msgspec.structs.replace(request, **rest)).events


def unlink(world: World, version_id: int, collection: str, *, project: str = REGISTRY) -> None:
    request = UnlinkVersion(version_id=version_id, entity=ENTITY, project=project, collection=collection)
    world.artifacts.unlink(ANN, request)


# --- linking ------------------------------------------------------------------------------------------


def test_link_refuses_unknown_things(world: World) -> None:
    version = world.log("Digits", "a")
    with pytest.raises(ArtifactNotFound, match="id 99"):
        world.link(msgspec.structs.replace(version, version_id=99), BDD)
    with pytest.raises(ProjectNotFound, match="ann/shelf"):
        world.link(version, BDD, project="shelf")
    with pytest.raises(RunNotFound):
        world.link(version, BDD, run=RunRef(ENTITY, PROJECT, "none"))
    for name in ("a/b", "a:b", " a", "x" * 129):
        with pytest.raises(InvalidName):
            world.link(version, name)
    with pytest.raises(InvalidName):
        world.link(version, BDD, aliases=("v1",))
    with pytest.raises(ProjectNotFound):
        world.find(BDD, "latest", project=REGISTRY)


def test_link_refuses_a_sequence_another_type_and_a_deleted_version(world: World) -> None:
    model, data = world.log("Digits", "a"), world.log("Data", "b", type_name="dataset")
    with pytest.raises(Conflict, match="filled by runs"):
        world.link(model, "Digits", project=PROJECT)
    world.link(model, BDD)
    with pytest.raises(TypeMismatch, match="'model', not 'dataset'"):
        world.link(data, BDD)
    world.artifacts.delete(ANN, DeleteVersion(version_id=data.version_id))
    with pytest.raises(ArtifactNotFound, match="was deleted"):
        world.link(data, "Other")


def test_link_makes_the_portfolio_with_numbers_of_its_own(world: World) -> None:
    world.log("Digits", "a")
    second, third = world.log("Digits", "b"), world.log("Digits", "c")
    world.clock.at = 2_000.0
    seen = world.link(second, BDD, aliases=("staging", "latest"))
    assert (seen.path, seen.aliases) == (f"ann/model-registry/{BDD}:v0", ("latest", "staging"))
    assert (seen.source_path, seen.is_link, seen.linked_at) == ("ann/digits/Digits:v1", True, 2_000.0)
    assert seen == world.find(BDD, "staging", project=REGISTRY)
    later = world.link(third, BDD)
    assert (later.version, later.aliases) == ("v1", ("latest",))
    assert world.find("Digits", "v1").aliases == (), "aliases of a portfolio are not its sequence's"
    record = world.artifacts.get_collection(ANN, ENTITY, REGISTRY, name=BDD)
    assert (record.kind, record.type, record.version_count) == (CollectionKind.PORTFOLIO, "model", 2)
    assert record.aliases == {"latest": "v1", "staging": "v0"}
    assert world.audited(f"ann/model-registry/{BDD}:v0") == ["version.linked"]


def test_link_again_keeps_the_number_and_latest_and_adds_aliases(world: World) -> None:
    first, second = world.log("Digits", "a"), world.log("Digits", "b")
    world.link(first, BDD, aliases=("staging",))
    world.link(second, BDD)
    again = world.link(world.find(BDD, "staging", project=REGISTRY), BDD, aliases=("production",))
    assert (again.version, again.aliases) == ("v0", ("production", "staging"))
    assert world.find(BDD, "latest", project=REGISTRY).version == "v1"


def test_an_organisations_registry_is_made_by_its_first_link(world: World) -> None:
    version = world.log("Digits", "a")
    seen = world.link(version, "Digits", project="wandb-registry-model")
    assert seen.path == "ann/wandb-registry-model/Digits:v0"


def test_a_version_seen_through_a_link_can_be_linked_on(world: World) -> None:
    seen = world.link(world.log("Digits", "a"), BDD)
    further = world.link(seen, "Shelf", project="wandb-registry-model")
    assert (further.source_path, further.version_id) == ("ann/digits/Digits:v0", seen.version_id)


# --- unlinking ----------------------------------------------------------------------------------------


def test_unlink_refuses_the_versions_own_sequence(world: World) -> None:
    version = world.log("Digits", "a")
    with pytest.raises(Conflict, match="cannot be unlinked"):
        unlink(world, version.version_id, "Digits", project=PROJECT)
    with pytest.raises(CollectionNotFound):
        unlink(world, version.version_id, "None", project=PROJECT)
    with pytest.raises(ArtifactNotFound):
        unlink(world, 99, "Digits", project=PROJECT)


def test_unlink_removes_aliases_and_never_gives_the_number_again(world: World) -> None:
    first, second = world.log("Digits", "a"), world.log("Digits", "b")
    world.link(first, BDD)
    world.link(second, BDD, aliases=("production",))
    for _ in range(2):
        unlink(world, second.version_id, BDD)
    assert world.find(BDD, "latest", project=REGISTRY).version_id == first.version_id
    with pytest.raises(AliasNotFound, match="v1 was taken out"):
        world.find(BDD, "v1", project=REGISTRY)
    with pytest.raises(AliasNotFound):
        world.find(BDD, "production", project=REGISTRY)
    assert world.link(second, BDD).version == "v2"
    moves = [
        (move.from_version, move.to_version, move.reason)
        for move in history(world, BDD, project=REGISTRY, alias="production")
    ]
    assert moves == [(None, "v1", ""), ("v1", None, "unlinked")]
    assert world.find("Digits", "v1").version_id == second.version_id


# --- collections --------------------------------------------------------------------------------------


def test_update_collection_refuses_a_clash_and_bad_values(world: World) -> None:
    world.log("Digits", "a")
    world.log("Letters", "b")
    request = UpdateCollection(entity=ENTITY, project=PROJECT, collection="Digits")
    with pytest.raises(AlreadyExists, match="'Letters' already"):
        world.artifacts.update_collection(ANN, msgspec.structs.replace(request, name="Letters"))
    with pytest.raises(InvalidName):
        world.artifacts.update_collection(ANN, msgspec.structs.replace(request, name="a b"))
    with pytest.raises(InvalidName):
        world.artifacts.update_collection(ANN, msgspec.structs.replace(request, tags=("a/b",)))
    with pytest.raises(LimitExceeded):
        world.artifacts.update_collection(ANN, msgspec.structs.replace(request, description="x" * 65_537))


def test_update_collection_renames_describes_and_tags(world: World) -> None:
    world.link(world.log("Digits", "a"), BDD)
    request = UpdateCollection(
        entity=ENTITY,
        project=REGISTRY,
        collection=BDD,
        name="Street Scenes",
        description="d",
        tags=("b", "a"),
    )
    record = world.artifacts.update_collection(ANN, request)
    assert (record.name, record.description, record.tags) == ("Street Scenes", "d", ("a", "b"))
    assert world.find("Street Scenes", "latest", project=REGISTRY).version == "v0"
    with pytest.raises(CollectionNotFound):
        world.find(BDD, "latest", project=REGISTRY)
    assert world.audited(f"ann/model-registry/{BDD}") == ["collection.updated"]


def test_delete_collection_is_refused_while_aliases_hold_on(world: World) -> None:
    version = world.log("Digits", "a")
    world.link(version, BDD, aliases=("production",))
    for project, name in ((REGISTRY, BDD), (PROJECT, "Digits")):
        with pytest.raises(Conflict, match="production"):
            world.artifacts.delete_collection(ANN, ENTITY, project, name=name)
    with pytest.raises(CollectionNotFound):
        world.artifacts.delete_collection(ANN, ENTITY, PROJECT, name="None")
    assert world.find(BDD, "production", project=REGISTRY).version_id == version.version_id


def test_delete_collection_frees_the_name_and_keeps_lineage(world: World) -> None:
    run = world.run("train")
    version = world.log("Digits", "a", run=run)
    world.link(version, BDD)
    for _ in range(2):
        world.artifacts.delete_collection(ANN, ENTITY, PROJECT, name="Digits")
    with pytest.raises(CollectionNotFound, match="was deleted"):
        world.find("Digits", "latest")
    with pytest.raises(ArtifactNotFound):
        world.find(BDD, "v0", project=REGISTRY)
    output = world.lineage.outputs(ANN, run)[0]
    assert (output.path, output.is_deleted) == ("ann/digits/Digits:v0", True)
    fresh = world.log("Digits", "a", type_name="dataset")
    assert (fresh.version, fresh.type, fresh.version_id != version.version_id) == ("v0", "dataset", True)


def test_delete_portfolio_leaves_the_versions_where_they_were(world: World) -> None:
    version = world.log("Digits", "a")
    world.link(version, BDD)
    world.artifacts.delete_collection(ANN, ENTITY, REGISTRY, name=BDD)
    assert world.find("Digits", "latest").version_id == version.version_id
    assert world.link(version, BDD).version == "v0"


def test_list_collections_refuses_bad_pages_and_unknown_projects(world: World) -> None:
    request = ListCollections(entity=ENTITY, project=PROJECT)
    with pytest.raises(ProjectNotFound):
        world.artifacts.list_collections(ANN, request)
    world.log("Digits", "a")
    for changes in ({"limit": 0}, {"limit": 1_001}, {"cursor": "%%"}, {"cursor": "ä"}, {"query": "x" * 257}):
        with pytest.raises(InvalidInput):
            world.artifacts.list_collections(ANN, msgspec.structs.replace(request, **changes))


def test_list_collections_filters_and_pages_by_name(world: World) -> None:
    for number in range(4):
        version = world.log(f"model-{number}", str(number))
    world.log("data_1", "d", type_name="dataset")
    world.link(version, "Two Words", project=PROJECT)
    request = ListCollections(entity=ENTITY, project=PROJECT)

    def names(**changes: object) -> list[str]:
        page = world.artifacts.list_collections(ANN, msgspec.structs.replace(request, **changes))
        return [record.name for record in page.collections]

    assert names() == ["Two Words", "data_1", "model-0", "model-1", "model-2", "model-3"]
    assert names(type="dataset") == ["data_1"]
    assert names(kind=CollectionKind.PORTFOLIO) == ["Two Words"]
    assert names(query="MODEL-2") == ["model-2"]
    assert names(query="%") == names(query="a_1x") == []
    assert names(query="a_1") == ["data_1"]
    found: list[str] = []
    page = world.artifacts.list_collections(ANN, msgspec.structs.replace(request, limit=2))
    found += [record.name for record in page.collections]
    while page.next_cursor is not None:
        page = world.artifacts.list_collections(
            ANN, msgspec.structs.replace(request, limit=2, cursor=page.next_cursor)
        )
        found += [record.name for record in page.collections]
    assert found == names()


# --- alias history ------------------------------------------------------------------------------------


def test_alias_history_answers_who_held_it_when(world: World) -> None:
    run = world.run("promote")
    first = world.link(world.log("Digits", "a"), BDD)
    second = world.link(world.log("Digits", "b"), BDD)
    world.clock.at = 2_000.0
    world.move(first, added=("production",), reason="first release")
    world.clock.at = 3_000.0
    world.link(second, BDD, aliases=("production",), run=run)
    world.clock.at = 4_000.0
    world.move(second, removed=("production",), reason="recalled", actor=BEN)
    events = history(world, BDD, project=REGISTRY)
    answers = [holder_at(events, "production", at) for at in (1_999.9, 2_000.0, 2_999.9, 3_000.0, 4_000.0)]
    assert answers == [None, "v0", "v0", "v1", None]
    last = history(world, BDD, project=REGISTRY, alias="production")
    assert [(move.actor, move.reason, move.run) for move in last] == [
        ("ann", "first release", None),
        ("ann", "", run),
        ("ben", "recalled", None),
    ]
    assert replay(events) == {"latest": "v1"}


def test_alias_history_gives_the_newest_moves_up_to_a_moment(world: World) -> None:
    for number in range(4):
        world.clock.at = 1_000.0 + number
        world.log("Digits", str(number))
    moves = history(world, "Digits", alias="latest", until=1_002.0, limit=2)
    assert [move.to_version for move in moves] == ["v1", "v2"]
    for limit in (0, 10_001):
        with pytest.raises(InvalidInput):
            history(world, "Digits", limit=limit)


def test_alias_history_never_runs_backwards_when_the_clock_does(world: World) -> None:
    world.log("Digits", "a")
    world.clock.at = 10.0
    world.log("Digits", "b")
    events = history(world, "Digits", alias="latest")
    assert [event.at for event in events] == [1_000.0, 1_000.0]
    assert holder_at(events, "latest", 1_000.0) == "v1"


def test_what_moves_nothing_leaves_the_history_alone(world: World) -> None:
    version = world.log("Digits", "a", aliases=("best",))
    world.log("Digits", "a", aliases=("best",))
    world.move(version, added=("best",), removed=("never-was",))
    for _ in range(2):
        world.link(version, BDD, aliases=("staging",))
    assert [(event.alias, event.to_version) for event in history(world, "Digits")] == [
        ("latest", "v0"),
        ("best", "v0"),
    ]
    assert len(history(world, BDD, project=REGISTRY)) == 2
    assert world.audited("ann/digits/Digits") == ["alias.moved"]


# --- at once ------------------------------------------------------------------------------------------


def test_two_worlds_logging_at_once_get_distinct_numbers(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "metadata.sqlite", blobs=world.blobs)
    found: list[tuple[str, tuple[str, ...]]] = []
    failures: list[BaseException] = []

    def log(each: World, prefix: str) -> None:
        try:
            for number in range(20):
                version = each.log("Digits", f"{prefix}{number}", aliases=(prefix,))
                found.append((version.version, version.aliases))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [
        threading.Thread(target=log, args=(each, prefix)) for each, prefix in ((world, "a"), (other, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert not failures
    assert sorted(version for version, _ in found) == sorted(f"v{number}" for number in range(40))
    assert all("latest" in aliases for _, aliases in found)
    assert world.find("Digits", "latest").version == "v39"


LOG_TWENTY = """
import sys
from pathlib import Path
from tests.service.artifact_world import World
world = World(Path(sys.argv[1]))
for number in range(20):
    print(world.log("Digits", f"{sys.argv[2]}-{number}", aliases=(sys.argv[2],)).version)
"""


def test_two_processes_logging_at_once_get_distinct_numbers(world: World, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", LOG_TWENTY, str(tmp_path / "metadata.sqlite"), name],
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    told = [process.communicate(timeout=120)[0].split() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert sorted(told[0] + told[1]) == sorted(f"v{number}" for number in range(40))
    record = world.artifacts.get_collection(ANN, ENTITY, PROJECT, name="Digits")
    assert record.aliases == {"latest": "v39", "one": told[0][-1], "two": told[1][-1]}


def test_two_threads_linking_one_version_share_the_membership(world: World) -> None:
    version = world.log("Digits", "a")
    found: list[str] = []
    barrier = threading.Barrier(2)

    def link(alias: str) -> None:
        barrier.wait()
        found.append(world.link(version, BDD, aliases=(alias,)).version)

    threads = [threading.Thread(target=link, args=(alias,)) for alias in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["v0", "v0"]
    assert world.find(BDD, "v0", project=REGISTRY).aliases == ("latest", "one", "two")
