"""Logging, changing, linking and deleting artifacts through a run, end to end on the local transport."""

from __future__ import annotations

from pathlib import Path

import pytest

import weighbridge
from weighbridge import Api, Artifact
from weighbridge.errors import (
    AliasMoved,
    Conflict,
    InvalidName,
    InvalidReference,
    RunFinished,
    SourceChanged,
    TypeMismatch,
    UsageError,
)


def model(tmp_path: Path, content: str = "weights", *, name: str = "net") -> Artifact:
    path = tmp_path / "w.bin"
    path.write_text(content)
    artifact = Artifact(
        name, "model", description="d", metadata={"epochs": 3, "nan": float("nan"), "nested": {"deep": [1]}}
    )
    artifact.add_file(path)
    return artifact


def test_logging_after_finish_is_refused(tmp_path: Path) -> None:
    run = weighbridge.init(project="p")
    run.finish()
    with pytest.raises(RunFinished):
        run.log_artifact(model(tmp_path))


def test_a_file_changed_between_add_and_log_is_refused_by_name(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        artifact = model(tmp_path)
        (tmp_path / "w.bin").write_text("changed")
        with pytest.raises(SourceChanged, match=r"w\.bin"):
            run.log_artifact(artifact)
        assert artifact.is_draft()


@pytest.mark.parametrize("alias", ["v3", "a/b", "a:b", ""])
def test_a_bad_alias_is_refused_before_anything_is_stored(tmp_path: Path, alias: str) -> None:
    with weighbridge.init(project="p") as run:
        with pytest.raises(InvalidName):
            run.log_artifact(model(tmp_path), aliases=[alias])
        assert not Api().artifact_exists("p/net")


def test_a_name_holds_one_type(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        run.log_artifact(model(tmp_path))
        other = Artifact("net", "dataset")
        other.add_file(tmp_path / "w.bin", name="other")
        with pytest.raises(TypeMismatch, match="model"):
            run.log_artifact(other)


def test_a_logged_draft_becomes_the_version(tmp_path: Path) -> None:
    with weighbridge.init(project="p", entity="me") as run:
        run.log({"loss": 1.0})
        artifact = run.log_artifact(model(tmp_path), aliases=["best"], tags=["small"])
        assert artifact.wait() is artifact
        assert not artifact.is_draft()
        assert (artifact.name, artifact.version, artifact.state) == ("net:v0", "v0", "COMMITTED")
        assert artifact.qualified_name == "me/p/net:v0"
        assert set(artifact.aliases) == {"latest", "best"}
        assert artifact.tags == ["small"]
        assert (artifact.size, artifact.file_count, artifact.history_step) == (7, 1, 0)
        assert artifact.metadata["epochs"] == 3
        with pytest.raises(UsageError, match="new_draft"):
            artifact.add_file(tmp_path / "w.bin", name="more")


def test_equal_content_is_the_same_version_and_other_content_the_next(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        first = run.log_artifact(model(tmp_path))
        again = run.log_artifact(model(tmp_path), aliases=["best"])
        other = run.log_artifact(model(tmp_path, "other"))
        assert (first.version_id, first.version) == (again.version_id, again.version)
        assert other.version == "v1"
        assert Api().artifact("p/net:best").version == "v0"
        assert Api().artifact("p/net").version == "v1"


def test_a_path_is_logged_as_an_artifact_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "data set").mkdir()
    (tmp_path / "data set" / "x.txt").write_text("x")
    with weighbridge.init(project="p", id="r1") as run:
        artifact = run.log_artifact(str(tmp_path / "data set"))
        assert (artifact.name, artifact.type) == ("run-r1-data-set:v0", "unspecified")
        assert [entry.path for entry in artifact.files()] == ["x.txt"]


def test_a_next_draft_begins_with_the_files_of_the_version(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        first = run.log_artifact(model(tmp_path))
        draft = first.new_draft()
        with draft.new_file("notes.txt") as file:
            file.write("more")
        second = run.log_artifact(draft)
        assert (second.version, [entry.path for entry in second.files()]) == ("v1", ["notes.txt", "w.bin"])
        assert second.get_entry("w.bin").digest == first.get_entry("w.bin").digest


def test_an_incremental_artifact_keeps_what_the_newest_version_has(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        run.log_artifact(model(tmp_path))
        more = Artifact("net", "model", incremental=True)
        with more.new_file("extra") as file:
            file.write("x")
        assert [entry.path for entry in run.log_artifact(more).files()] == ["extra", "w.bin"]


def test_save_writes_labels_and_moves_aliases(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        artifact = run.log_artifact(model(tmp_path), aliases=["best"])
        artifact.description = "new words"
        artifact.metadata["epochs"] = 4
        artifact.metadata["nested"]["deep"].append(2)
        artifact.aliases.append("staging")
        artifact.aliases.remove("best")
        artifact.tags.append("fast")
        artifact.save()
        stored = Api().artifact("p/net:staging")
        assert (stored.description, stored.metadata["epochs"], stored.tags) == ("new words", 4, ["fast"])
        assert stored.metadata["nested"] == {"deep": [1, 2]}
        assert set(stored.aliases) == {"latest", "staging"}


def test_save_refuses_an_alias_that_moved_meanwhile(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        first = run.log_artifact(model(tmp_path), aliases=["best"])
        second = run.log_artifact(model(tmp_path, "other"), aliases=["best"])
        first.aliases.remove("best")
        with pytest.raises(AliasMoved):
            first.save()
        first = Api().artifact("p/net:v0")
        first.aliases.append("best")
        with pytest.raises(AliasMoved):
            first.save(expected={"best": "v0"})
        first.save(expected={"best": "v1"})
        assert Api().artifact("p/net:best").version == "v0"
        assert second.version == "v1"


def test_save_of_a_draft_logs_it_in_the_current_run_or_in_one_of_its_own(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        inside = model(tmp_path)
        inside.save()
        producer = inside.logged_by()
        assert producer is not None and producer.id == run.id
    outside = model(tmp_path, "other")
    outside.save(project="p")
    producer = outside.logged_by()
    assert producer is not None and producer.id != run.id and producer.job_type == "auto"


def test_link_targets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        artifact = run.log_artifact(model(tmp_path))
        with pytest.raises(InvalidReference, match="aliases"):
            run.link_artifact(artifact, "model-registry/Digits:staging")
        with pytest.raises(InvalidReference):
            run.link_model(tmp_path / "w.bin", "a/b")


def test_a_link_is_a_version_of_the_registry_without_a_copy(tmp_path: Path) -> None:
    with weighbridge.init(project="p", entity="me") as run:
        run.log_artifact(model(tmp_path, "older"))
        linked = run.link_artifact(model(tmp_path), "model-registry/BDD Semantic Segmentation", ["staging"])
        assert linked.qualified_name == "me/model-registry/BDD Semantic Segmentation:v0"
        assert linked.is_link
        assert (linked.source_name, linked.source_project) == ("net:v1", "p")
        assert linked.source_artifact.qualified_name == "me/p/net:v1"
        assert "staging" in linked.aliases
        with pytest.raises(TypeMismatch):
            other = run.log_artifact(tmp_path / "w.bin", name="data", type="dataset")
            run.link_artifact(other, "model-registry/BDD Semantic Segmentation")


def test_an_organisation_registry_needs_no_owner(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        linked = run.link_artifact(model(tmp_path), "wandb-registry-model/Digits")
        assert (linked.entity, linked.project) == ("local", "wandb-registry-model")


def test_link_and_unlink_without_a_run(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        artifact = run.log_artifact(model(tmp_path))
    with pytest.raises(UsageError, match="not a link"):
        artifact.unlink()
    artifact.link("model-registry/Digits").unlink()
    assert not Api().artifact_exists("model-registry/Digits")
    assert Api().artifact_exists("p/net")


def test_a_version_with_aliases_is_deleted_only_when_told_so(tmp_path: Path) -> None:
    with weighbridge.init(project="p") as run:
        artifact = run.log_artifact(model(tmp_path), aliases=["best"])
        with pytest.raises(Conflict, match="best"):
            artifact.delete()
        artifact.delete(delete_aliases=True)
        assert not Api().artifact_exists("p/net:v0")


def test_models_have_short_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.bin"
    path.write_text("weights")
    with weighbridge.init(project="p") as run:
        run.link_model(path, "Digits", name="net", aliases=["staging"])
        fetched = run.use_model("model-registry/Digits:staging")
        assert Path(fetched).read_text() == "weights"
        run.log_artifact(path, name="data", type="dataset")
        with pytest.raises(TypeMismatch, match="dataset"):
            run.use_model("data")


def test_an_offline_artifact_has_no_version_until_it_is_synced(tmp_path: Path) -> None:
    from weighbridge.sdk.adopt import adopt_orphans

    run = weighbridge.init(project="p", mode="offline")
    artifact = run.log_artifact(model(tmp_path), aliases=["best"])
    run.link_artifact(artifact, "model-registry/Digits", aliases=["staging"])
    run.use_artifact(artifact)
    assert (artifact.is_draft(), artifact.state) == (False, "PENDING")
    for attribute in ("name", "version", "qualified_name"):
        with pytest.raises(UsageError, match="not stored yet"):
            getattr(artifact, attribute)
    with pytest.raises(UsageError, match="synced"):
        artifact.wait()
    with pytest.raises(UsageError, match="offline"):
        run.use_artifact("net:latest")
    run.finish()
    api = Api()
    assert not api.artifact_exists("p/net")
    (tmp_path / "w.bin").unlink()

    assert [synced.error for synced in adopt_orphans(api.client, include_offline=True)] == [None]
    stored = api.artifact("p/net:best")
    producer = stored.logged_by()
    assert producer is not None and producer.id == run.id
    assert api.artifact("model-registry/Digits:staging").source_name == "net:v0"
    assert [one.name for one in api.run(f"p/{run.id}").used_artifacts()] == ["net:v0"]
    assert Path(stored.download(tmp_path / "out"), "w.bin").read_text() == "weights"


def test_a_disabled_run_takes_everything_and_stores_nothing(tmp_path: Path, fresh_surroundings: Path) -> None:
    with weighbridge.init(project="p", mode="disabled") as run:
        artifact = run.log_artifact(model(tmp_path), aliases=["best"])
        assert (artifact.wait().version, artifact.logged_by(), artifact.used_by()) == ("v0", None, [])
        assert run.link_artifact(artifact, "model-registry/Digits") is artifact
        used = run.use_artifact("model-registry/Digits:staging", type="model")
        assert Path(used.download(tmp_path / "out")).is_dir()
        artifact.save()
        artifact.delete()
    assert not (fresh_surroundings / "weighbridge.sqlite").exists()
    assert not list(fresh_surroundings.glob("blobs/*")) if fresh_surroundings.exists() else True
