"""What logging, resolving, using, changing and deleting a version does, refusals first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

from tests.service.artifact_world import ANN, BEN, ENTITY, PROJECT, REGISTRY, World, hash_bytes
from weighbridge.domain.manifest import Manifest, ManifestEntry
from weighbridge.domain.run import RunRef
from weighbridge.errors import (
    AliasMoved,
    AliasNotFound,
    AlreadyExists,
    ArtifactNotFound,
    BlobNotFound,
    CollectionNotFound,
    Conflict,
    InvalidInput,
    InvalidManifest,
    InvalidName,
    InvalidReference,
    LimitExceeded,
    ProjectNotFound,
    RunNotFound,
    TypeMismatch,
)
from weighbridge.services.aliases import ALIASES_PER_CALL_MAX, ALIASES_PER_COLLECTION_MAX, REASON_MAX
from weighbridge.services.artifacts import METADATA_MAX_BYTES
from weighbridge.services.registry import DESCRIPTION_MAX_BYTES
from weighbridge.storage.metadata import tables
from weighbridge.wire.artifacts import DeleteVersion, ListVersions, UpdateVersion, UseVersion


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "metadata.sqlite")
    yield made
    made.close()


# --- logging ------------------------------------------------------------------------------------------


def test_log_refuses_a_digest_that_is_not_the_manifests(world: World) -> None:
    request = world.request("Digits", "a")
    with pytest.raises(InvalidManifest, match="has digest"):
        world.artifacts.log(ANN, msgspec.structs.replace(request, digest="0" * 64))
    with pytest.raises(InvalidManifest, match="64 hexadecimal"):
        world.artifacts.log(ANN, msgspec.structs.replace(request, digest="latest"))
    with pytest.raises(InvalidManifest):
        world.artifacts.log(ANN, msgspec.structs.replace(request, manifest=request.manifest[:-3]))


def test_log_refuses_missing_bytes_and_names_the_file(world: World) -> None:
    request = world.request("Digits", "a")
    lost = ManifestEntry(path="weights/w.bin", digest="ab" * 32, size_bytes=3)
    manifest = Manifest.build([lost])
    request = msgspec.structs.replace(
        request, manifest=manifest.encode(), digest=hash_bytes(manifest.canonical_bytes())
    )
    with pytest.raises(BlobNotFound, match=r"1 of 1 files: 'weights/w.bin' \(abababababab\)"):
        world.artifacts.log(ANN, request)
    with pytest.raises(ProjectNotFound):
        world.find("Digits", "latest")


def test_log_takes_a_reference_without_bytes(world: World) -> None:
    manifest = Manifest.build([ManifestEntry(path="far.bin", ref="s3://bucket/far.bin", size_bytes=7)])
    request = world.request("Far", "a")
    request = msgspec.structs.replace(
        request, manifest=manifest.encode(), digest=hash_bytes(manifest.canonical_bytes())
    )
    version = world.artifacts.log(ANN, request)
    assert (version.size_bytes, version.file_count) == (7, 1)
    assert Manifest.decode(world.artifacts.manifest(ANN, version.version_id)) == manifest


@pytest.mark.parametrize("name", ["a/b", "has space", "", "x" * 129, "..\x00", "a:b"])
def test_log_refuses_a_bad_name(world: World, name: str) -> None:
    with pytest.raises(InvalidName):
        world.log(name, "a")


@pytest.mark.parametrize("alias", ["v3", "v0", "a/b", "a:b", "", " x", "x" * 129])
def test_log_refuses_a_bad_alias(world: World, alias: str) -> None:
    with pytest.raises(InvalidName):
        world.log("Digits", "a", aliases=(alias,))


def test_log_refuses_a_registry_and_points_to_links(world: World) -> None:
    for project in (REGISTRY, "wandb-registry-model"):
        with pytest.raises(Conflict, match="linked into it") as caught:
            world.artifacts.log(ANN, world.request("Digits", "a", project=project))
        assert "link_artifact" in caught.value.hint


def test_log_refuses_a_portfolio(world: World) -> None:
    world.link(world.log("Digits", "a"), "Shelf", project=PROJECT)
    with pytest.raises(Conflict, match="filled by links"):
        world.log("Shelf", "b")


def test_log_refuses_another_type_and_names_both(world: World) -> None:
    world.log("Digits", "a")
    with pytest.raises(TypeMismatch, match="'model', not 'dataset'"):
        world.log("Digits", "b", type_name="dataset")


def test_log_refuses_an_unknown_or_deleted_run(world: World) -> None:
    run = world.run("train-1")
    with pytest.raises(RunNotFound, match="train-2") as caught:
        world.log("Digits", "a", run=RunRef(ENTITY, PROJECT, "train-2"))
    assert "'train-1'" in caught.value.hint
    world.delete_run(run)
    with pytest.raises(RunNotFound, match="was deleted"):
        world.log("Digits", "a", run=run)


def test_log_refuses_what_is_too_long(world: World) -> None:
    request = world.request("Digits", "a")
    for changes in (
        {"description": "ä" * (DESCRIPTION_MAX_BYTES // 2 + 1)},
        {"metadata": {"x": "y" * METADATA_MAX_BYTES}},
        {"aliases": tuple(f"a{number}" for number in range(ALIASES_PER_CALL_MAX + 1))},
        {"tags": tuple(f"t{number}" for number in range(65))},
    ):
        with pytest.raises(LimitExceeded):
            world.artifacts.log(ANN, msgspec.structs.replace(request, **changes))
    with pytest.raises(InvalidInput):
        world.artifacts.log(ANN, msgspec.structs.replace(request, client_id=""))
    fits = {
        "description": "ä" * (DESCRIPTION_MAX_BYTES // 2),
        "metadata": {"x": "y" * (METADATA_MAX_BYTES - 8)},
    }
    assert world.artifacts.log(ANN, msgspec.structs.replace(request, **fits)).version == "v0"


def test_log_gives_numbers_in_order_and_latest_to_the_last(world: World) -> None:
    run = world.run("train")
    first = world.log("Digits", "a", run=run, aliases=("best", "latest"))
    second = world.log("Digits", "b", run=run)
    assert (first.version, first.aliases) == ("v0", ("best", "latest"))
    assert (second.version, second.aliases) == ("v1", ("latest",))
    assert world.find("Digits", "v0").aliases == ("best",)
    assert world.audited("ann/digits/Digits:v0") == ["version.created"]


def test_log_fills_in_the_whole_record(world: World) -> None:
    run = world.run("train")
    request = msgspec.structs.replace(
        world.request("Digits", "abc", run=run, tags=("b", "a", "b"), history_step=7),
        description="the best",
        metadata={"accuracy": math.nan, "layers": [1, 2]},
        logged_at=12.5,
    )
    version = world.artifacts.log(ANN, request)
    assert version == world.find("Digits", "latest") == world.artifacts.get(ANN, version.version_id)
    assert math.isnan(version.metadata["accuracy"]) and version.metadata["layers"] == [1, 2]
    assert (version.description, version.tags, version.history_step) == ("the best", ("a", "b"), 7)
    assert (version.size_bytes, version.file_count, version.created_at) == (3, 1, 12.5)
    assert (version.producer, version.producer_deleted, version.linked_at) == (run, False, None)
    assert not version.is_link and version.path == version.source_path == "ann/digits/Digits:v0"
    world.delete_run(run)
    assert world.find("Digits", "latest").producer_deleted


def test_log_again_with_one_client_id_changes_nothing_more(world: World) -> None:
    request = world.request("Digits", "a", aliases=("best",))
    first = world.artifacts.log(ANN, request)
    world.log("Digits", "b", aliases=("best",))
    again = world.artifacts.log(ANN, request)
    assert (again.version_id, again.version, again.aliases) == (first.version_id, "v0", ())
    with pytest.raises(AlreadyExists, match="given to 'ann/digits/Digits:v0'"):
        world.artifacts.log(ANN, world.request("Digits", "c", client_id=request.client_id))


def test_log_of_equal_content_gives_the_version_and_moves_latest_to_it(world: World) -> None:
    user = world.log("Digits", "a")
    world.log("Digits", "b", aliases=("best",))
    run = world.run("train")
    request = world.request("Digits", "a", run=run, aliases=("best",), tags=("again",), history_step=3)
    same = world.artifacts.log(ANN, request)
    assert (same.version_id, same.version) == (user.version_id, "v0")
    assert (same.aliases, same.tags) == (("best", "latest"), ("again",))
    assert (same.producer, same.history_step) == (run, 3)
    other = world.run("train-2")
    third = world.artifacts.log(ANN, world.request("Digits", "a", run=other))
    assert third.producer == run
    assert [version.version for version in world.lineage.outputs(ANN, other)] == ["v0"]
    assert world.find("Digits", "v1").aliases == ()


def test_log_for_use_records_an_input_and_no_producer(world: World) -> None:
    run = world.run("train")
    version = world.artifacts.log(ANN, world.request("Data", "a", run=run, used_by_run=True))
    assert version.producer is None
    assert world.lineage.outputs(ANN, run) == ()
    assert [each.version_id for each in world.lineage.inputs(ANN, run)] == [version.version_id]


# --- resolving ----------------------------------------------------------------------------------------


def test_resolve_names_what_is_missing_and_what_is_near(world: World) -> None:
    world.log("Digits", "a", aliases=("staging",))
    with pytest.raises(ProjectNotFound) as project:
        world.find("Digits", "latest", project="digit")
    assert "'ann/digits'" in project.value.hint
    with pytest.raises(CollectionNotFound) as collection:
        world.find("digit", "latest")
    assert "'Digits'" in collection.value.hint
    with pytest.raises(AliasNotFound) as alias:
        world.find("Digits", "stagin")
    assert "'staging'" in alias.value.hint and "latest (v0)" in alias.value.hint
    assert alias.value.details["aliases"] == ["latest", "staging"]
    with pytest.raises(AliasNotFound, match="no version v1"):
        world.find("Digits", "v1")


@pytest.mark.parametrize("name", ["x" * 10_000, "a\x00b", "../..", "Digits:v0", "%"])
def test_resolve_answers_strange_names_with_not_found(world: World, name: str) -> None:
    world.log("Digits", "a")
    with pytest.raises(CollectionNotFound):
        world.find(name, "latest")
    with pytest.raises(AliasNotFound):
        world.find("Digits", name)


def test_half_a_character_is_refused_wherever_text_comes_in(world: World) -> None:
    half = "a\ud800"
    version, run = world.log("Digits", "a"), world.run("score")
    request = world.request("Digits", "b")
    update = UpdateVersion(
        version_id=version.version_id, entity=ENTITY, project=PROJECT, collection="Digits", description=half
    )
    calls: list[Callable[[], object]] = [
        lambda: world.find(half, "latest"),
        lambda: world.find("Digits", half),
        lambda: world.find("Digits", "latest", project=half),
        lambda: world.artifacts.log(ANN, msgspec.structs.replace(request, client_id=half)),
        lambda: world.artifacts.log(ANN, msgspec.structs.replace(request, description=half)),
        lambda: world.artifacts.update(ANN, update),
        lambda: world.move(version, removed=(half,)),
        lambda: world.move(version, added=("x",), expected={half: None}),
        lambda: world.move(version, added=("x",), reason=half),
        lambda: world.use(RunRef(ENTITY, PROJECT, half), version),
        lambda: world.use(run, version, used_as=half),
        lambda: world.link(version, half),
        lambda: world.link(version, "Shelf", project=half),
        lambda: world.artifacts.delete_collection(ANN, ENTITY, PROJECT, name=half),
    ]
    for call in calls:
        with pytest.raises(InvalidName, match="not valid Unicode"):
            call()
    kept = msgspec.structs.replace(request, metadata={half: half})
    assert world.artifacts.log(ANN, kept).metadata == {half: half}


def test_resolve_checks_the_type(world: World) -> None:
    world.log("Digits", "a")
    with pytest.raises(TypeMismatch):
        world.find("Digits", "latest", type_name="dataset")
    assert world.find("Digits", "latest", type_name="model").version == "v0"


def test_resolve_by_digest_and_by_its_beginning(world: World) -> None:
    first, second = world.log("Digits", "a"), world.log("Digits", "b")
    for version in (first, second):
        assert world.find("Digits", version.digest).version == version.version
        assert world.find("Digits", version.digest[:8]).version == version.version
    with pytest.raises(AliasNotFound):
        world.find("Digits", first.digest[:7])
    with pytest.raises(AliasNotFound):
        world.find("Digits", "0" * 64)
    world.move(second, added=(first.digest[:8],))
    assert world.find("Digits", first.digest[:8]).version == "v1", "an alias goes before a digest"


def test_resolve_refuses_a_beginning_that_fits_two_versions(world: World) -> None:
    versions = [world.log("Digits", "a"), world.log("Digits", "b")]
    table = tables.versions
    with world.database.write() as tx:  # Two digests with one beginning can't be found by trying.
        for version, digest in zip(versions, ("abcdef01" + "0" * 56, "abcdef01" + "1" * 56), strict=True):
            tx.execute(update(table).where(table.c.version_pk == version.version_id).values(digest=digest))
    with pytest.raises(InvalidReference, match="v1, v0"):
        world.find("Digits", "abcdef01")
    assert world.find("Digits", "abcdef010").version == "v0"


# --- using --------------------------------------------------------------------------------------------


def test_use_refuses_unknown_and_deleted_things(world: World) -> None:
    version, run = world.log("Digits", "a"), world.run("score")
    with pytest.raises(RunNotFound):
        world.use(RunRef(ENTITY, PROJECT, "none"), version)
    with pytest.raises(ArtifactNotFound, match="id 99"):
        world.use(run, msgspec.structs.replace(version, version_id=99))
    with pytest.raises(InvalidInput):
        world.use(run, version, used_as="x" * 513)
    world.artifacts.delete(ANN, DeleteVersion(version_id=version.version_id))
    with pytest.raises(ArtifactNotFound, match="was deleted"):
        world.use(run, version)


def test_use_holds_on_to_the_version_when_the_alias_moves(world: World) -> None:
    run = world.run("score")
    world.log("Digits", "a", aliases=("staging",))
    resolved = world.find("Digits", "staging")
    world.log("Digits", "b", aliases=("staging",))
    world.use(run, resolved)
    world.use(run, resolved)
    assert [each.version for each in world.lineage.inputs(ANN, run)] == ["v0"]


def test_use_through_a_link_that_is_gone_falls_back_to_the_sequence(world: World) -> None:
    run = world.run("score")
    version = world.log("Digits", "a")
    request = UseVersion(
        run=run, version_id=version.version_id, entity=ENTITY, project=REGISTRY, collection="Gone"
    )
    world.artifacts.use(ANN, request)
    assert [each.path for each in world.lineage.inputs(ANN, run)] == ["ann/digits/Digits:v0"]


# --- changing -----------------------------------------------------------------------------------------


def test_update_refuses_to_touch_latest(world: World) -> None:
    first, second = world.log("Digits", "a"), world.log("Digits", "b")
    for version, added, removed in ((first, ("latest",), ()), (second, (), ("latest",))):
        with pytest.raises(Conflict, match="kept by the system"):
            world.move(version, added=added, removed=removed)
    assert world.move(second, added=("latest",)).aliases == ("latest",)
    assert world.move(first, removed=("latest",)).aliases == ()


def test_update_refuses_contradictions_and_excess(world: World) -> None:
    version = world.log("Digits", "a")
    with pytest.raises(InvalidInput, match="both"):
        world.move(version, added=("x",), removed=("x",))
    with pytest.raises(LimitExceeded):
        world.move(version, added=("x",), reason="y" * (REASON_MAX + 1))
    for start in range(0, ALIASES_PER_COLLECTION_MAX - 1, ALIASES_PER_CALL_MAX):
        stop = min(start + ALIASES_PER_CALL_MAX, ALIASES_PER_COLLECTION_MAX - 1)
        world.move(version, added=tuple(f"a{number}" for number in range(start, stop)))
    with pytest.raises(LimitExceeded, match="1,000 aliases"):
        world.move(version, added=("one-too-many",))
    assert "a5" in world.move(version, added=("a5",)).aliases, "one that is there may move"


def test_update_refuses_a_version_of_another_collection(world: World) -> None:
    one, other = world.log("Digits", "a"), world.log("Letters", "b")
    with pytest.raises(ArtifactNotFound, match="is not in collection 'ann/digits/Letters'"):
        world.move(msgspec.structs.replace(one, collection=other.collection), added=("x",))


def test_guard_names_alias_expectation_and_truth(world: World) -> None:
    first, second = world.log("Digits", "a", aliases=("production",)), world.log("Digits", "b")
    with pytest.raises(AliasMoved, match="points to v0, not to v1") as caught:
        world.move(second, added=("production",), expected={"production": "v1"}, actor=BEN)
    assert caught.value.details == {
        "alias": "production",
        "collection": "ann/digits/Digits",
        "expected": "v1",
        "actual": "v0",
    }
    assert "ann moved it" in caught.value.hint
    with pytest.raises(AliasMoved, match="points to v0, not to nothing"):
        world.move(second, added=("staging",), expected={"production": None})
    assert world.find("Digits", "production").version == first.version
    with pytest.raises(AliasNotFound):
        world.find("Digits", "staging")
    for _ in range(2):  # Sent again, the call finds its own work done.
        moved = world.move(second, added=("production",), expected={"production": "v0"})
        assert moved.aliases == ("latest", "production")
    for _ in range(2):
        world.move(second, removed=("production",), expected={"production": "v1"})
    with pytest.raises(AliasMoved, match="points to nothing, not to v1"):
        world.move(second, added=("staging",), expected={"production": "v1"})


def test_update_does_not_take_an_alias_from_another_version(world: World) -> None:
    first, second = world.log("Digits", "a", aliases=("best",)), world.log("Digits", "b")
    world.move(second, removed=("best", "never-was"))
    assert world.find("Digits", "best").version == first.version


def test_update_changes_what_is_given_and_leaves_the_rest(world: World) -> None:
    version = world.log("Digits", "a")
    world.clock.at = 2_000.0
    request = UpdateVersion(
        version_id=version.version_id,
        entity=ENTITY,
        project=PROJECT,
        collection="Digits",
        metadata={"a": math.inf},
        tags=("x",),
    )
    changed = world.artifacts.update(ANN, request)
    assert (changed.metadata, changed.tags, changed.description) == ({"a": math.inf}, ("x",), "")
    assert (changed.created_at, changed.updated_at) == (1_000.0, 2_000.0)
    emptied = world.artifacts.update(
        ANN, msgspec.structs.replace(request, metadata=None, tags=(), description="d")
    )
    assert (emptied.metadata, emptied.tags, emptied.description) == ({"a": math.inf}, (), "d")
    assert world.audited("ann/digits/Digits:v0") == ["version.created", "version.updated", "version.updated"]


def test_alias_moves_are_audited_with_who_and_why(world: World) -> None:
    version = world.log("Digits", "a")
    world.move(version, added=("production",), reason="approved", actor=BEN)
    event = world.audit_events("ann/digits/Digits")[0]
    assert (event.actor, event.action) == ("ben", "alias.moved")
    assert event.details == {"alias": "production", "from": None, "to": "v0", "reason": "approved"}


# --- deleting -----------------------------------------------------------------------------------------


def test_delete_is_refused_while_an_alias_points_there_anywhere(world: World) -> None:
    version = world.log("Digits", "a")
    seen = world.link(version, "Digits", aliases=("production",))
    with pytest.raises(Conflict, match="ann/model-registry/Digits:production"):
        world.artifacts.delete(ANN, DeleteVersion(version_id=version.version_id))
    world.move(seen, removed=("production",))
    world.artifacts.delete(ANN, DeleteVersion(version_id=version.version_id))
    with pytest.raises(ArtifactNotFound):
        world.artifacts.get(ANN, version.version_id)


def test_delete_leaves_a_tombstone_and_moves_latest(world: World) -> None:
    run = world.run("train")
    first, second = world.log("Digits", "a", run=run), world.log("Digits", "b", run=run, aliases=("best",))
    seen = world.link(second, "Shelf", aliases=("production",))
    world.clock.at = 86_400.0
    for _ in range(2):
        world.artifacts.delete(ANN, DeleteVersion(version_id=second.version_id, delete_aliases=True))
    assert world.find("Digits", "latest").version_id == first.version_id
    for collection, project in (("Digits", PROJECT), ("Shelf", REGISTRY)):
        version = "v1" if project == PROJECT else seen.version
        with pytest.raises(ArtifactNotFound, match="deleted at 1970-01-02T00:00:00Z"):
            world.find(collection, version, project=project)
    with pytest.raises(AliasNotFound):
        world.find("Shelf", "production", project=REGISTRY)
    assert [each.is_deleted for each in world.lineage.outputs(ANN, run)] == [False, True]
    assert world.audited("ann/digits/Digits:v1") == ["version.created", "version.deleted"]
    again = world.log("Digits", "b")
    assert (again.version, again.version_id != second.version_id) == ("v2", True)


def test_a_repeated_log_of_a_version_deleted_since_tells_so(world: World) -> None:
    request = world.request("Digits", "a")
    version = world.artifacts.log(ANN, request)
    world.artifacts.delete(ANN, DeleteVersion(version_id=version.version_id))
    assert world.artifacts.log(ANN, request).is_deleted


# --- listing ------------------------------------------------------------------------------------------


def test_list_versions_refuses_bad_pages(world: World) -> None:
    world.log("Digits", "a")
    request = ListVersions(entity=ENTITY, project=PROJECT, collection="Digits")
    for limit in (0, 1_001):
        with pytest.raises(InvalidInput):
            world.artifacts.list_versions(ANN, msgspec.structs.replace(request, limit=limit))
    for cursor in ("", "x", "-1", "٣", "9" * 30):
        with pytest.raises(InvalidInput):
            world.artifacts.list_versions(ANN, msgspec.structs.replace(request, cursor=cursor))


def test_list_versions_is_newest_first_and_pages_through_all(world: World) -> None:
    versions = [world.log("Digits", str(number)) for number in range(5)]
    world.artifacts.delete(ANN, DeleteVersion(version_id=versions[2].version_id))
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = world.artifacts.list_versions(
            ANN, ListVersions(entity=ENTITY, project=PROJECT, collection="Digits", cursor=cursor, limit=2)
        )
        found += [version.version for version in page.versions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == ["v4", "v3", "v1", "v0"]
