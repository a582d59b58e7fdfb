"""Downloads: verified, kept where right, never outside of the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import weighbridge
from weighbridge import Artifact
from weighbridge.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidManifest,
    NotFound,
    SourceChanged,
    UsageError,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


@pytest.fixture
def logged(tree: Path) -> Artifact:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(tree)
    with weighbridge.init(project="p") as run:
        return run.log_artifact(artifact)


def blob_of(home: Path, digest: str) -> Path:
    (found,) = [path for path in (home / "blobs").rglob("*") if path.is_file() and digest.endswith(path.name)]
    return found


def files(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_draft_cannot_be_downloaded() -> None:
    with pytest.raises(UsageError, match="draft"):
        Artifact("x", "t").download()


def test_an_altered_blob_is_named_with_both_digests(
    logged: Artifact, tmp_path: Path, fresh_surroundings: Path
) -> None:
    digest = logged.get_entry("sub/b.txt").digest
    blob = blob_of(fresh_surroundings, digest)
    blob.chmod(0o600)
    blob.write_text("altered!!")
    with pytest.raises(DigestMismatch, match=r"b\.txt") as caught:
        logged.download(tmp_path / "out")
    assert digest in str(caught.value)
    assert caught.value.details["expected"] == digest
    assert not (tmp_path / "out" / "sub" / "b.txt").exists()


def test_a_missing_blob_is_named(logged: Artifact, tmp_path: Path, fresh_surroundings: Path) -> None:
    digest = logged.get_entry("a.txt").digest
    blob_of(fresh_surroundings, digest).unlink()
    with pytest.raises(BlobNotFound, match=digest):
        logged.download(tmp_path / "out")


def test_a_blob_lost_since_it_was_seen_is_stored_again(tree: Path, fresh_surroundings: Path) -> None:
    def log() -> Artifact:
        artifact = Artifact("data", "dataset")
        artifact.add_dir(tree)
        with weighbridge.init(project="p") as run:
            return run.log_artifact(artifact)

    digest = log().get_entry("a.txt").digest
    blob_of(fresh_surroundings, digest).unlink()
    log()
    assert blob_of(fresh_surroundings, digest).read_text() == "a.txt"


def test_a_link_in_the_target_that_leads_out_is_refused(logged: Artifact, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "sub").symlink_to(outside)
    with pytest.raises(InvalidManifest, match="leads out"):
        logged.download(out)
    assert not list(outside.iterdir())


def test_the_default_folder_is_named_by_the_version(
    logged: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(logged.download())
    assert folder == Path("artifacts/data:v0")
    assert files(folder) == {name: name for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt")}


def test_what_is_there_and_right_is_kept_and_the_rest_replaced(logged: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    logged.download(out)
    kept = (out / "a.txt").stat().st_ino
    (out / "sub" / "b.txt").write_text("altered!!")
    (out / "mine.txt").write_text("mine")
    logged.download(out)
    assert (out / "a.txt").stat().st_ino == kept
    assert (out / "sub" / "b.txt").read_text() == "sub/b.txt"
    assert (out / "mine.txt").exists()


def test_verify_names_what_is_different_missing_or_extra(logged: Artifact, tmp_path: Path) -> None:
    out = Path(logged.download(tmp_path / "out"))
    logged.verify(out)
    (out / "a.txt").write_text("other")
    with pytest.raises(DigestMismatch, match=r"a\.txt has digest .* was expected"):
        logged.verify(out)
    (out / "a.txt").unlink()
    with pytest.raises(DigestMismatch, match=r"a\.txt is missing"):
        logged.verify(out)
    (out / "a.txt").write_text("a.txt")
    (out / "extra").write_text("x")
    with pytest.raises(DigestMismatch, match="extra does not belong"):
        logged.verify(out)


def test_checkout_leaves_exactly_the_version(logged: Artifact, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    (out / "old" / "older").mkdir(parents=True)
    (out / "old" / "older" / "x").write_text("x")
    outside.mkdir()
    (outside / "precious").write_text("p")
    (out / "link").symlink_to(outside)
    (out / "a.txt").mkdir()
    logged.checkout(out)
    logged.verify(out)
    assert sorted(os.listdir(out)) == ["a.txt", "sub"]
    assert (outside / "precious").exists()


@pytest.mark.parametrize("home", [".", "people/ann"])
def test_checkout_refuses_a_home_folder_or_one_above_it(
    logged: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / home))
    (tmp_path / home).mkdir(parents=True, exist_ok=True)
    (tmp_path / "precious").write_text("p")
    with pytest.raises(UsageError, match="folder of its own"):
        logged.checkout(tmp_path)
    assert (tmp_path / "precious").exists()


def test_part_of_a_version(logged: Artifact, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        logged.download(tmp_path / "none", path_prefix="nothing/")
    assert set(files(Path(logged.download(tmp_path / "out", path_prefix="sub/")))) == {
        "sub/b.txt",
        "sub/deep/c.txt",
    }
    one = logged.get_entry("a.txt").download(tmp_path / "one")
    assert Path(one).read_text() == "a.txt"


def test_file_is_for_a_version_of_one_file(logged: Artifact, tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 files"):
        logged.file()
    with weighbridge.init(project="p") as run:
        single = run.log_artifact(tree / "a.txt", name="single")
    assert Path(single.file(tmp_path / "out")).read_text() == "a.txt"


def test_a_file_reference_is_copied_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "far.txt"
    target.write_text("far")
    artifact = Artifact("refs", "dataset")
    artifact.add_reference(target.as_uri())
    artifact.add_reference("s3://bucket/key")
    with weighbridge.init(project="p") as run:
        run.log_artifact(artifact)
    assert files(Path(artifact.download(tmp_path / "out"))) == {"far.txt": "far"}
    assert "s3://bucket/key" in capsys.readouterr().err
    target.write_text("changed")
    with pytest.raises(DigestMismatch, match=r"far\.txt"):
        artifact.download(tmp_path / "again")
    target.unlink()
    with pytest.raises(SourceChanged, match=r"far\.txt"):
        artifact.download(tmp_path / "again")
    assert files(tmp_path / "again") == {}


def test_empty_files_and_many_files_of_equal_content(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for index in range(20):
        (root / f"{index}").write_bytes(b"" if index % 2 else b"same")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(root)
    with weighbridge.init(project="p") as run:
        run.log_artifact(artifact)
    assert files(Path(artifact.download(tmp_path / "out"))) == files(root)
