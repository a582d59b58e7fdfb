"""The graph of runs and versions, and the neighbours of each, refusals first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, event

from tests.service.artifact_world import ANN, ENTITY, PROJECT, REGISTRY, World
from weighbridge.domain.artifact import VersionRecord
from weighbridge.domain.lineage import Direction, LineageGraph
from weighbridge.domain.run import RunRef
from weighbridge.errors import ArtifactNotFound, InvalidInput, ProducerNotFound, RunNotFound
from weighbridge.wire.artifacts import DeleteVersion, UnlinkVersion
from weighbridge.wire.evaluations import ReadLineage, RecordEvaluation


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "metadata.sqlite")
    yield made
    made.close()


class Story:
    """Dataset -> training -> model -> evaluation through the registry; a test set that only the evaluation used."""

    def __init__(self, world: World) -> None:
        self.training = world.run("train", job_type="training", summary={"final_acc": 0.9})
        self.evaluation = world.run("score", job_type="evaluation")
        self.dataset = world.log("Data", "d", type_name="dataset")
        self.test_set = world.log("Test", "t", type_name="dataset")
        world.use(self.training, self.dataset)
        self.model = world.log("Digits", "m", run=self.training)
        self.seen = world.link(self.model, "Digits", aliases=("staging",))
        for used in (self.seen, self.dataset, self.test_set):
            world.use(self.evaluation, used)


def read(world: World, root: VersionRecord | RunRef, **rest: object) -> LineageGraph:
    request = ReadLineage(run=root) if isinstance(root, RunRef) else ReadLineage(version_id=root.version_id)
    return world.lineage.graph(ANN, msgspec.structs.replace(request, **rest))


def shown(graph: LineageGraph) -> set[str]:
    return {node.path for node in graph.nodes}


def test_graph_refuses_bad_requests(world: World) -> None:
    run, version = world.run("train"), world.log("Digits", "a")
    for request in (
        ReadLineage(),
        ReadLineage(run=run, version_id=version.version_id),
        ReadLineage(run=run, depth=0),
        ReadLineage(run=run, depth=51),
        ReadLineage(run=run, limit=0),
        ReadLineage(run=run, limit=5_001),
    ):
        with pytest.raises(InvalidInput):
            world.lineage.graph(ANN, request)
    with pytest.raises(RunNotFound):
        read(world, RunRef(ENTITY, PROJECT, "none"))
    with pytest.raises(ArtifactNotFound):
        world.lineage.graph(ANN, ReadLineage(version_id=99))


def test_producer_refuses_what_no_run_made(world: World) -> None:
    with pytest.raises(ArtifactNotFound):
        world.lineage.producer(ANN, 99)
    version = world.log("Digits", "a")
    with pytest.raises(ProducerNotFound, match="made by no run"):
        world.lineage.producer(ANN, version.version_id)


def test_graph_tells_the_story_from_the_model(world: World) -> None:
    story = Story(world)
    graph = read(world, story.seen)
    assert shown(graph) == {
        "ann/digits/Data:v0",
        "ann/digits/train",
        "ann/digits/Digits:v0",
        "ann/digits/score",
    }
    assert {(edge.source, edge.target, edge.kind) for edge in graph.edges} == {
        (f"version:{story.dataset.version_id}", "run:ann/digits/train", "used"),
        ("run:ann/digits/train", f"version:{story.model.version_id}", "logged"),
        (f"version:{story.model.version_id}", "run:ann/digits/score", "used"),
        (f"version:{story.dataset.version_id}", "run:ann/digits/score", "used"),
    }
    nodes = {node.node_id: node for node in graph.nodes}
    model = nodes[graph.root]
    assert (model.name, model.role, model.aliases) == ("Digits:v0", "model", ("latest", "staging"))
    assert model.links == ("ann/model-registry/Digits:v0",)
    scored = nodes["run:ann/digits/score"]
    assert (scored.name, scored.role, scored.state) == ("name-of-score", "evaluation", "finished")
    assert not graph.is_truncated and graph == read(world, story.seen)


def test_graph_walks_one_way_when_told(world: World) -> None:
    story = Story(world)
    up = read(world, story.model, direction=Direction.UPSTREAM)
    assert shown(up) == {"ann/digits/Digits:v0", "ann/digits/train", "ann/digits/Data:v0"}
    down = read(world, story.model, direction=Direction.DOWNSTREAM)
    assert shown(down) == {"ann/digits/Digits:v0", "ann/digits/score"}
    whole = read(world, story.evaluation)
    assert "ann/digits/Test:v0" in shown(whole)


def test_graph_says_where_depth_or_limit_cut_it(world: World) -> None:
    story = Story(world)
    near = read(world, story.model, depth=1)
    assert shown(near) == {"ann/digits/Digits:v0", "ann/digits/train", "ann/digits/score"}
    assert near.is_truncated
    assert not read(world, story.model, depth=2).is_truncated
    for limit in (1, 2, 3):
        cut = read(world, story.model, limit=limit)
        assert (len(cut.nodes), cut.is_truncated) == (limit, True)
    assert not read(world, story.model, limit=4).is_truncated


def test_graph_ends_on_a_cycle_and_walks_both_ways_past_it(world: World) -> None:
    run = world.run("copy")
    version = world.log("Digits", "a", run=run)
    world.use(run, version)
    other = world.log("Other", "b", run=run)
    graph = read(world, version)
    assert shown(graph) == {"ann/digits/Digits:v0", "ann/digits/copy", other.path}
    assert len(graph.edges) == 3


def test_tombstones_stay_in_the_graph(world: World) -> None:
    story = Story(world)
    world.delete_run(story.training)
    world.artifacts.delete(ANN, DeleteVersion(version_id=story.dataset.version_id))
    nodes = {node.path: node for node in read(world, story.model).nodes}
    assert nodes["ann/digits/train"].is_deleted and nodes["ann/digits/Data:v0"].is_deleted
    assert not nodes["ann/digits/score"].is_deleted
    producer = world.lineage.producer(ANN, story.model.version_id)
    assert (producer.run_id, producer.is_deleted) == ("train", True)


def test_a_deleted_version_still_tells_its_lineage(world: World) -> None:
    story = Story(world)
    world.artifacts.delete(ANN, DeleteVersion(version_id=story.model.version_id, delete_aliases=True))
    assert "ann/digits/score" in shown(read(world, story.model))
    assert world.lineage.producer(ANN, story.model.version_id).run_id == "train"


def test_the_verdict_is_on_the_versions_node(world: World) -> None:
    story = Story(world)
    world.evaluations.record(
        ANN,
        RecordEvaluation(
            run=story.evaluation,
            version_id=story.model.version_id,
            verdict="failed",
            report=msgspec.Raw(b"{}"),
        ),
    )
    nodes = {node.path: node for node in read(world, story.training).nodes}
    assert nodes["ann/digits/Digits:v0"].verdict == "failed"


def test_neighbours_are_told_with_what_they_were_seen_through(world: World) -> None:
    story = Story(world)
    assert world.lineage.producer(ANN, story.model.version_id).summary == {"final_acc": 0.9}
    consumers = world.lineage.consumers(ANN, story.model.version_id)
    assert [run.run_id for run in consumers] == ["score"], "a use through a link is a use"
    assert [run.run_id for run in world.lineage.consumers(ANN, story.dataset.version_id)] == [
        "train",
        "score",
    ]
    inputs = world.lineage.inputs(ANN, story.evaluation)
    assert {version.path for version in inputs} == {
        f"ann/{REGISTRY}/Digits:v0",
        "ann/digits/Data:v0",
        "ann/digits/Test:v0",
    }
    assert [version.path for version in world.lineage.outputs(ANN, story.training)] == [
        "ann/digits/Digits:v0"
    ]


def test_a_use_through_a_link_that_is_gone_is_one_of_the_source(world: World) -> None:
    story = Story(world)
    linked = world.find("Digits", "v0", project=REGISTRY)
    world.artifacts.unlink(
        ANN,
        UnlinkVersion(
            version_id=linked.version_id, entity=ENTITY, project=REGISTRY, collection=linked.collection
        ),
    )
    late = world.run("late")
    world.use(late, linked)
    assert [version.path for version in world.lineage.inputs(ANN, late)] == [story.model.source_path]


def count_statements(world: World, work: Callable[[], object]) -> int:
    statements: list[str] = []

    def note(_conn: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    with world.database.read() as tx:
        engine = tx.engine
    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return len(statements)


def test_a_level_costs_the_same_statements_however_wide(world: World) -> None:
    dataset = world.log("Data", "d", type_name="dataset")
    counts: list[int] = []
    for width in (2, 30):
        for number in range(width):
            run = world.run(f"run-{width}-{number}")
            world.use(run, dataset)
            world.log(f"model-{width}-{number}", f"{width}-{number}", run=run)
        counts.append(count_statements(world, lambda: read(world, dataset)))
    assert counts[0] == counts[1] > 0
