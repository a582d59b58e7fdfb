"""Using versions: paths, edges, producers; and the lesson's script as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

import weighbridge
from weighbridge import Api, Artifact
from weighbridge.errors import AliasNotFound, CollectionNotFound, InvalidInput, ProjectNotFound, TypeMismatch


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered model with its producer; the producer's id."""
    monkeypatch.chdir(tmp_path)
    data = Artifact("bdd", "dataset")
    with data.new_file("split.txt") as file:
        file.write("train")
    with weighbridge.init(project="mlops", entity="av-team", job_type="training", config={"lr": 0.1}) as run:
        run.use_artifact(data)
        net = Artifact("net", "model")
        with net.new_file("weights.bin", "wb") as file:
            file.write(b"weights")
        run.summary["final_miou"] = 0.61
        run.link_artifact(net, "model-registry/BDD Semantic Segmentation", aliases=["staging"])
    return run.id


def test_unknown_names_are_refused_with_the_nearest(trained: str) -> None:
    with weighbridge.init(project="mlops", entity="av-team") as run:
        with pytest.raises(ProjectNotFound):
            run.use_artifact("av-team/nowhere/x")
        with pytest.raises(CollectionNotFound, match="BDD Semantic Segmentation"):
            run.use_artifact("model-registry/BDD Semantic Segmentatio")
        with pytest.raises(AliasNotFound, match="staging"):
            run.use_artifact("model-registry/BDD Semantic Segmentation:stagin")
        with pytest.raises(TypeMismatch, match="model"):
            run.use_artifact("model-registry/BDD Semantic Segmentation", type="dataset")


@pytest.mark.parametrize(
    "path", ["", "a/b/c/d", "net:", "net:v0:v1", "x" * 10_000, "net:" + "x" * 10_000, "a\0b"]
)
def test_a_path_that_cannot_be_read_is_refused_shortly(trained: str, path: str) -> None:
    with weighbridge.init(project="mlops", entity="av-team") as run:
        with pytest.raises(InvalidInput) as caught:
            run.use_artifact(path)
    assert len(str(caught.value)) < 600


def test_an_alias_that_moves_between_resolve_and_use_does_not_change_what_is_used(trained: str) -> None:
    resolved = Api().artifact("av-team/mlops/net:latest")
    with weighbridge.init(project="mlops", entity="av-team") as run:
        newer = Artifact("net", "model")
        with newer.new_file("weights.bin", "wb") as file:
            file.write(b"newer")
        run.log_artifact(newer)
        run.use_artifact(resolved)
    assert [used.name for used in Api().run(f"av-team/mlops/{run.id}").used_artifacts()] == ["net:v0"]


def test_the_lessons_script(trained: str) -> None:
    run = weighbridge.init(project="mlops", entity="av-team", job_type="evaluation", tags=["staging"])
    artifact = run.use_artifact("av-team/model-registry/BDD Semantic Segmentation:latest", type="model")
    artifact_dir = Path(artifact.download())
    assert (artifact_dir / "weights.bin").read_bytes() == b"weights"
    producer_run = artifact.logged_by()
    assert producer_run is not None
    weighbridge.config.update(producer_run.config)
    assert run.config["lr"] == 0.1
    assert producer_run.summary["final_miou"] == 0.61
    run.finish()
    assert [one.id for one in artifact.used_by()] == [run.id]
    assert [one.name for one in producer_run.used_artifacts()] == ["bdd:v0"]


@pytest.mark.parametrize(
    "path",
    [
        "av-team/model-registry/BDD Semantic Segmentation:staging",
        "model-registry/BDD Semantic Segmentation",
        "model-registry/BDD Semantic Segmentation:v0",
        "net:v0",
        "mlops/net",
        "wandb-artifact://av-team/mlops/net:latest",
    ],
)
def test_short_forms_take_the_runs_defaults(trained: str, path: str) -> None:
    with weighbridge.init(project="mlops", entity="av-team") as run:
        assert run.use_artifact(path).source_name == "net:v0"


def test_a_draft_used_is_stored_as_an_input(trained: str) -> None:
    data = Api().artifact("av-team/mlops/bdd")
    assert data.logged_by() is None
    assert [run.id for run in data.used_by()] == [trained]


def test_a_deleted_producer_leaves_a_tombstone(trained: str) -> None:
    api = Api()
    api.run(f"av-team/mlops/{trained}").delete()
    producer = api.artifact("av-team/mlops/net").logged_by()
    assert producer is not None
    assert (producer.id, producer.is_deleted) == (trained, True)


def test_usage_is_code_that_fetches_this_version(trained: str) -> None:
    api = Api()
    path = "av-team/model-registry/BDD Semantic Segmentation:staging"
    code = api.artifact(path).usage()
    assert repr(path) in code and "type='model'" in code
    scope: dict[str, object] = {}
    exec(code, scope)
    assert Path(str(scope["artifact_dir"]), "weights.bin").exists()
    run = scope["run"]
    assert isinstance(run, weighbridge.Run)
    run.finish()


def test_lineage_reaches_from_the_data_to_the_evaluation(trained: str) -> None:
    with weighbridge.init(project="mlops", entity="av-team", job_type="evaluation") as run:
        artifact = run.use_artifact("model-registry/BDD Semantic Segmentation:staging")
    names = {node.name for node in artifact.lineage().nodes}
    assert {"bdd:v0", "net:v0"} <= {name.rsplit("/", 1)[-1] for name in names}
    runs = {node.path.rsplit("/", 1)[-1] for node in artifact.lineage().runs}
    assert runs == {trained, run.id}
    upstream = Api().lineage(artifact, direction="upstream")
    assert run.id not in {node.path.rsplit("/", 1)[-1] for node in upstream.runs}
    assert "bdd:v0" in str(upstream)
