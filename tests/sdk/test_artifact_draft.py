"""Drafts: what may be added, what is refused, and that nothing is taken that changed since."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from weighbridge import Artifact
from weighbridge.errors import (
    InvalidInput,
    InvalidManifest,
    InvalidName,
    LimitExceeded,
    NotFound,
    SourceChanged,
    UsageError,
)


@pytest.fixture
def draft() -> Artifact:
    return Artifact("weights", "model")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    return path


@pytest.mark.parametrize("name", ["", "a/b", "a b", "../x", "x" * 129, "a\0b", "naïve"])
def test_a_name_outside_the_rules_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        Artifact(name, "model")


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../b", "nul\0", "x" * 10_000, "a//b", "."])
def test_a_path_that_leaves_the_tree_is_refused_at_add(draft: Artifact, file: Path, name: str) -> None:
    with pytest.raises(InvalidManifest):
        draft.add_file(file, name=name)
    assert draft.file_count == 0


def test_metadata_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidInput, match="metadata"):
        Artifact("weights", "model", metadata={"model": object()})


def test_a_file_that_is_not_there_is_named(draft: Artifact, tmp_path: Path) -> None:
    with pytest.raises(SourceChanged, match=r"gone\.bin"):
        draft.add_file(tmp_path / "gone.bin")


def test_a_folder_is_no_file_and_a_file_no_folder(draft: Artifact, file: Path) -> None:
    with pytest.raises(InvalidInput, match="add_dir"):
        draft.add_file(file.parent)
    with pytest.raises(UsageError, match="add_file"):
        draft.add_dir(file)


def test_a_link_out_of_the_tree_is_refused(draft: Artifact, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "secret").write_text("s")
    (tree / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidManifest, match="link"):
        draft.add_dir(tree)


def test_a_path_is_taken_once_unless_overwritten(draft: Artifact, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    draft.add_file(file, name="x")
    draft.add_file(file, name="x")
    with pytest.raises(UsageError, match="holds 'x' already"):
        draft.add_file(other, name="x")
    draft.add_file(other, name="x", overwrite=True)
    assert draft.get_entry("x").size == 5


def test_removing_what_is_not_there_is_refused(draft: Artifact) -> None:
    with pytest.raises(UsageError, match="nothing"):
        draft.remove("nothing")


def test_a_folder_is_removed_whole(draft: Artifact, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub/a", "sub/b", "subway"):
        (tmp_path / name).write_text(name)
    draft.add_dir(tmp_path)
    draft.remove("sub")
    assert [entry.path for entry in draft.files()] == ["subway"]


def test_equal_content_has_an_equal_digest_whatever_the_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    one, other = Artifact("x", "t"), Artifact("y", "t")
    one.add_file(tmp_path / "a")
    one.add_file(tmp_path / "b")
    other.add_file(tmp_path / "b")
    other.add_file(tmp_path / "a")
    assert one.digest == other.digest
    other.remove("a")
    assert one.digest != other.digest


def test_an_unknown_path_names_the_nearest(draft: Artifact, file: Path) -> None:
    draft.add_file(file, name="weights.npz")
    with pytest.raises(NotFound, match=r"weights\.npz"):
        draft.get_entry("weigths.npz")


def test_a_file_changed_after_it_was_added_is_refused_by_name(draft: Artifact, file: Path) -> None:
    draft.add_file(file)
    file.write_bytes(b"changed")
    with pytest.raises(SourceChanged, match=r"a\.bin"):
        _ = draft.digest


def test_a_private_copy_does_not_mind_what_becomes_of_the_original(draft: Artifact, file: Path) -> None:
    before = Artifact("x", "t")
    before.add_file(file)
    digest = before.digest
    draft.add_file(file, policy="mutable")
    file.unlink()
    assert draft.digest == digest


def test_new_file_is_added_when_the_block_ends_well(draft: Artifact) -> None:
    with draft.new_file("facts.json") as file:
        json.dump({"a": 1}, file)
    assert draft.get_entry("facts.json").size == 8
    with pytest.raises(ZeroDivisionError), draft.new_file("half.txt") as file:
        file.write("half")
        _ = 1 / 0
    assert [entry.path for entry in draft.files()] == ["facts.json"]


def test_new_file_refuses_to_read(draft: Artifact) -> None:
    with pytest.raises(UsageError, match="mode"), draft.new_file("x", mode="r"):
        pass


class Points:
    """An object that writes itself."""

    artifact_suffix = ".points"

    def write_artifact_file(self, path: Path) -> None:
        path.write_text("1 2 3")


def test_an_object_that_writes_itself_is_added_with_its_suffix(draft: Artifact) -> None:
    assert draft.add(Points(), "mine").path == "mine.points"


def test_any_other_object_is_refused_with_the_way_to_do_it(draft: Artifact) -> None:
    stranger: Any = {"a": 1}
    with pytest.raises(UsageError, match=r"new_file"):
        draft.add(stranger, "x")


@pytest.mark.parametrize("uri", ["no-scheme", "https://me:secret@host/x", "file://relative"])
def test_a_reference_that_cannot_stand_is_refused(draft: Artifact, uri: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        draft.add_reference(uri, name="x")
    assert "secret" not in str(caught.value)


def test_a_remote_reference_is_kept_as_written_and_never_opened(draft: Artifact) -> None:
    (entry,) = draft.add_reference("s3://bucket/data/train.parquet")
    assert (entry.path, entry.ref_target()) == ("train.parquet", "s3://bucket/data/train.parquet")


def test_a_file_reference_is_hashed_unless_told_otherwise(draft: Artifact, file: Path) -> None:
    (hashed,) = draft.add_reference(file.as_uri(), name="hashed")
    (plain,) = draft.add_reference(file.as_uri(), name="plain", checksum=False)
    assert len(hashed.digest) == 64
    assert plain.digest != hashed.digest


def test_a_folder_reference_is_bounded(draft: Artifact, tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}").write_text("x")
    with pytest.raises(LimitExceeded, match="max_objects"):
        draft.add_reference(tmp_path.as_uri(), max_objects=2)
    assert len(draft.add_reference(tmp_path.as_uri(), max_objects=3)) == 3


@pytest.mark.parametrize(
    "attribute", ["version", "entity", "project", "qualified_name", "source_version", "collection"]
)
def test_what_only_a_stored_version_has_is_a_usage_error_on_a_draft(draft: Artifact, attribute: str) -> None:
    with pytest.raises(UsageError, match="draft"):
        getattr(draft, attribute)


def test_a_draft_says_what_it_is(draft: Artifact) -> None:
    assert draft.is_draft()
    assert (draft.name, draft.type, draft.state, draft.id) == ("weights", "model", "PENDING", None)
    assert repr(draft) == "<Artifact weights (model, draft)>"


def test_private_copies_go_with_the_draft(file: Path) -> None:
    draft = Artifact("x", "t")
    draft.add_file(file, is_tmp=True)
    entry = draft.get_entry("a.bin")
    assert entry.local_path is not None and os.path.exists(entry.local_path)
    path = entry.local_path
    del draft, entry
    assert not os.path.exists(path)


def test_metadata_that_is_no_dict_is_refused() -> None:
    with pytest.raises(InvalidInput, match="metadata takes a dict, not 5"):
        Artifact("m", "model", metadata=5)  # type: ignore[arg-type]  # the mistake under test
