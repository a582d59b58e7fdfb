"""Reading and editing stored runs and collections through Api, on the local transport."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import pytest

import weighbridge
from weighbridge import Api, Artifact
from weighbridge.errors import (
    AliasNotFound,
    CollectionNotFound,
    Conflict,
    InvalidFilter,
    InvalidInput,
    InvalidReference,
    InvalidSetting,
    NotFound,
    ProjectNotFound,
    RunNotFound,
    TypeMismatch,
    UsageError,
)


@pytest.fixture
def api() -> Api:
    for index in range(5):
        with weighbridge.init(
            project="p",
            id=f"run-{index}",
            entity="me",
            job_type="train" if index % 2 else "evaluation",
            config={"lr": index / 10, "_hidden": 1, "model": {"depth": index}},
            tags=["even"] if index % 2 == 0 else [],
        ) as run:
            for step in range(20):
                run.log({"loss": 1.0 / (step + 1), "step_id": step})
                if step % 2 == 0:
                    run.log({"val": float(step) if step else math.nan}, step=step)
            run.summary["score"] = index
    return Api({"entity": "me", "project": "p"})


def artifact(content: str, name: str = "net") -> Artifact:
    made = Artifact(name, "model")
    with made.new_file("w") as file:
        file.write(content)
    return made


@pytest.mark.parametrize("arguments", [{"overrides": {"colour": "red"}}, {"timeout": 0}, {"timeout": -1.0}])
def test_settings_that_cannot_be_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting):
        Api(**arguments)  # type: ignore[arg-type]  # on purpose


def test_unknown_things_are_named_with_the_nearest(api: Api) -> None:
    with pytest.raises(RunNotFound, match="run-3"):
        api.run("me/p/run-33")
    with pytest.raises(ProjectNotFound):
        len(api.runs("me/nowhere"))
    with pytest.raises(ProjectNotFound):
        api.project("nowhere")
    with pytest.raises(NotFound):
        api.artifact("p/nothing")
    with pytest.raises(InvalidInput, match="loss"):
        api.run("run-0").series("los")


@pytest.mark.parametrize("path", ["a/b/c/d/e", "me/p/files/run-0"])
def test_a_run_path_that_cannot_be_read_is_refused(api: Api, path: str) -> None:
    with pytest.raises(InvalidReference):
        api.run(path)


@pytest.mark.parametrize("path", ["me/p/run-0", "p/run-0", "run-0", "/me/p/runs/run-0"])
def test_run_paths_take_the_defaults(api: Api, path: str) -> None:
    assert api.run(path).path == ["me", "p", "run-0"]


def test_a_bad_filter_is_refused(api: Api) -> None:
    with pytest.raises(InvalidFilter):
        list(api.runs("p", filters={"config.lr": {"$near": 1}}))


def test_runs_are_filtered_ordered_counted_and_paged(api: Api) -> None:
    runs = api.runs("me/p", per_page=2)
    assert len(runs) == 5
    assert [run.id for run in runs] == [f"run-{index}" for index in range(5)]
    assert runs[-1].id == "run-4"
    best = api.runs("me/p", {"config.lr": {"$gte": 0.2}}, order="-summary_metrics.score", per_page=2)
    assert [run.id for run in best] == ["run-4", "run-3", "run-2"]
    assert {run.id for run in api.runs("p", {"tags": "even", "job_type": "evaluation"})} == {
        "run-0",
        "run-2",
        "run-4",
    }
    assert not api.runs("p", {"state": "crashed"})


def test_a_run_shows_what_was_logged(api: Api) -> None:
    run = api.run("run-3")
    assert run.config == {"lr": 0.3, "model": {"depth": 3}}
    assert run.rawconfig["_hidden"] == 1
    assert (run.state, run.job_type, run.exit_code) == ("finished", "train", 0)
    assert run.summary["score"] == 3
    assert run.summary.get("nothing") is None
    assert run.created_at is not None and run.created_at.endswith("Z")
    assert run.environment == run.metadata
    assert run.url == "/me/p/runs/run-3"


def test_edits_are_written_by_update_and_by_nothing_else(api: Api) -> None:
    run = api.run("run-1")
    run.display_name, run.notes, run.group = "new name", "notes", "g"
    run.tags.append("edited")
    run.rawconfig["lr"] = 7
    assert api.run("run-1").notes == ""
    run.update({"extra": [1, 2]})
    again = api.run("run-1")
    assert (again.name, again.notes, again.group, again.tags) == ("new name", "notes", "g", ["edited"])
    assert (again.config["lr"], again.config["extra"]) == (7, [1, 2])
    again.summary.update({"checked": math.inf})
    assert run.load().summary["checked"] == math.inf
    del again.summary["checked"]
    again.update()
    assert "checked" not in api.run("run-1").summary


def test_a_value_that_cannot_be_stored_is_refused(api: Api) -> None:
    run = api.run("run-1")
    with pytest.raises(InvalidInput, match="config.x"):
        run.update({"x": object()})
    with pytest.raises(InvalidInput, match="summary.x"):
        run.summary["x"] = object()


def test_history_bounds_are_refused_before_anything_is_read(api: Api) -> None:
    run = api.run("run-0")
    for samples in (0, 100_001):
        with pytest.raises(InvalidInput, match="samples"):
            run.history(samples=samples)
    for page_size in (0, 10_001):
        with pytest.raises(InvalidInput, match="page_size"):
            list(run.scan_history(page_size=page_size))
    with pytest.raises(InvalidInput, match="stream"):
        run.history(stream="events")


def test_history_is_sampled_and_scanned(api: Api) -> None:
    run = api.run("run-0")
    assert len(run.history(samples=7, pandas=False)) <= 7
    rows = list(run.scan_history(page_size=3))
    assert [row["_step"] for row in rows] == list(range(20))
    assert math.isnan(rows[0]["val"]) and rows[2]["val"] == 2.0
    both = list(run.scan_history(keys=["loss", "val"], min_step=4, max_step=8))
    assert [(row["_step"], set(row)) for row in both] == [(step, {"loss", "val", "_step"}) for step in (4, 6)]
    assert {key.name for key in run.metric_keys()} == {"loss", "val", "step_id"}


def test_series_and_buckets_are_arrays(api: Api) -> None:
    run = api.run("run-0")
    steps, values, times_s = run.series("loss")
    assert steps.tolist() == list(range(20))
    assert values.tolist() == [1.0 / (step + 1) for step in range(20)]
    assert times_s.shape == (20,)
    assert run.series("step_id").values.dtype == numpy.dtype("int64")
    buckets = run.buckets("val", 5)
    assert buckets.count.sum() == 10
    assert buckets.nan_count.sum() == 1
    assert buckets.max.max() == 18.0


def test_waiting_for_a_run_is_bounded(api: Api) -> None:
    assert api.run("run-0").wait_until_finished(timeout_s=1).state == "finished"
    run = weighbridge.init(project="p", entity="me")
    try:
        with pytest.raises(UsageError, match="still running"):
            api.run(run.id).wait_until_finished(timeout_s=0.01)
    finally:
        run.finish()


def test_a_deleted_run_is_gone_from_lists(api: Api) -> None:
    api.run("run-0").delete()
    assert len(api.runs("p")) == 4


def test_types_collections_and_versions(api: Api) -> None:
    with weighbridge.init(project="p", entity="me") as run:
        run.log_artifact(artifact("1"))
        run.log_artifact(artifact("2"), aliases=["best"])
    assert [found.name for found in api.artifact_types("p")] == ["model"]
    with pytest.raises(NotFound, match="model"):
        api.artifact_type("modle", "p")
    with pytest.raises(TypeMismatch):
        api.artifact_collection("dataset", "p/net")
    with pytest.raises(CollectionNotFound, match="net"):
        api.artifact_collection("model", "p/nett")
    assert [one.version for one in api.artifacts("model", "p/net", per_page=1)] == ["v1", "v0"]
    collection = api.artifact_type("model", "p").collection("net")
    assert collection.is_sequence() and collection.aliases["best"] == "v1"
    collection.description, collection.tags = "words", ["one", "two"]
    collection.save()
    again = api.artifact_collection("model", "me/p/net")
    assert (again.description, sorted(again.tags)) == ("words", ["one", "two"])
    with pytest.raises(Conflict, match="best"):
        again.delete()
    best = api.artifact("p/net:best")
    best.aliases.remove("best")
    best.save()
    again.delete()
    assert not api.artifact_exists("p/net")


def test_an_alias_has_a_past(api: Api) -> None:
    with weighbridge.init(project="p", entity="me") as run:
        first = run.log_artifact(artifact("1"), aliases=["production"])
        collection = first.collection
        moved_at = collection.alias_history("production")[-1].at
        run.log_artifact(artifact("2"), aliases=["production"])
    with pytest.raises(AliasNotFound, match="pointed nowhere"):
        collection.alias_at("production", "2020-05-03")
    assert collection.alias_at("production", moved_at).version == "v0"
    moves = [(move.from_version, move.to_version) for move in collection.alias_history("production")]
    assert moves == [(None, "v0"), ("v0", "v1")]


def test_registries_are_found_by_short_and_full_names(api: Api) -> None:
    with weighbridge.init(project="p", entity="me") as run:
        net = run.log_artifact(artifact("1"))
        run.link_artifact(net, "model-registry/Digits", ["staging"])
        run.link_artifact(net, "wandb-registry-model/Road Signs")
    with pytest.raises(ProjectNotFound):
        api.registry("nothing")
    assert {registry.full_name for registry in api.registries()} == {"model-registry", "wandb-registry-model"}
    assert [one.name for one in api.registries(filter={"name": {"$regex": "^mod"}, "entity": "local"})] == [
        "model"
    ]
    registry = api.registry("model")
    assert [one.name for one in registry.collections({"name": {"$contains": "Signs"}})] == ["Road Signs"]
    legacy = api.registry("model-registry")
    assert [one.qualified_name for one in legacy.versions({"alias": "staging"})] == [
        "me/model-registry/Digits:v0"
    ]
    assert [project.name for project in api.projects()] == ["p"]


def test_paths_of_pages_lead_back_to_things(api: Api) -> None:
    with weighbridge.init(project="p", entity="me") as run:
        net = run.log_artifact(artifact("1"))
    for path in (net.url, net.qualified_name):
        found = api.from_path(path)
        assert isinstance(found, Artifact) and found.version_id == net.version_id
    found_run = api.from_path(f"/me/p/runs/{run.id}")
    assert isinstance(found_run, type(api.run(run.id))) and found_run.id == run.id
    assert repr(api.from_path("me/p")) == "<Project me/p>"


def test_a_stored_run_takes_artifacts_after_the_fact(api: Api) -> None:
    run = api.run("run-0")
    net = run.log_artifact(artifact("1"), aliases=["late"])
    assert [one.name for one in run.logged_artifacts()] == ["net:v0"]
    api.run("run-1").use_artifact(net)
    assert [one.id for one in net.used_by()] == ["run-1"]
    assert {node.path.rsplit("/", 1)[-1] for node in api.lineage("me/p/run-1").runs} == {"run-0", "run-1"}
    with pytest.raises(InvalidInput, match="direction"):
        run.lineage(direction="sideways")


def test_another_home_is_another_world(api: Api, tmp_path: Path) -> None:
    other = Api(home=tmp_path / "elsewhere")
    assert list(other.projects()) == []
    assert other.default_entity == other.viewer.entity


def test_a_server_that_is_named_is_said_to_be_of_no_use_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_URL", "https://models.example.org")
    for _ in range(2):
        assert not list(Api(home=tmp_path / "home").projects())
    assert capsys.readouterr().err.count("names a server") == 1
    assert (tmp_path / "home" / "weighbridge.db").exists()
