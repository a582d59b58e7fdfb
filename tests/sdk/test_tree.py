"""Walking a folder: what is refused by name, then what is found."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import InvalidInput, InvalidManifest, LimitExceeded
from weighbridge.sdk.tree import DEPTH_MAX, walk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# --- refused ---


@pytest.mark.parametrize("name", ["absent", "nul\0"])
def test_a_root_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"can't be added"):
        walk(tmp_path / name)


@pytest.mark.parametrize(
    "target", ["../outside", "/etc/passwd", "..", "sub/../../outside", "../root-sibling/file"]
)
def test_a_link_that_leaves_the_tree_is_refused_by_name(root: Path, target: str) -> None:
    put(root / "sub" / "file")
    put(root.parent / "outside")
    put(root.parent / "root-sibling" / "file")
    link = root / "sub" / "link"
    link.symlink_to(target if target.startswith("/") else f"../{target}")
    with pytest.raises(InvalidManifest, match="leaves the folder") as caught:
        walk(root)
    assert str(link) in caught.value.message
    assert os.path.realpath(link) in caught.value.message


def test_a_chain_of_links_that_ends_outside_is_refused(root: Path) -> None:
    put(root.parent / "outside")
    (root / "last").symlink_to(root.parent / "outside")
    (root / "first").symlink_to("last")
    with pytest.raises(InvalidManifest, match="leaves the folder"):
        walk(root)


@pytest.mark.parametrize("target", ["nothing", "link"])
def test_a_broken_link_is_refused_by_name(root: Path, target: str) -> None:
    (root / "link").symlink_to(target)
    with pytest.raises(InvalidManifest, match=r"root/link' -> ") as caught:
        walk(root)
    assert "broken" in caught.value.message or "can't be followed" in caught.value.message


@pytest.mark.parametrize(("place", "target"), [("link", "."), ("a/link", ".."), ("a/b/link", "../../a")])
def test_a_link_back_to_a_folder_it_lies_in_is_refused(root: Path, place: str, target: str) -> None:
    put(root / "a" / "b" / "file")
    (root / place).symlink_to(target)
    with pytest.raises(InvalidManifest, match="leads back"):
        walk(root)


def test_two_folders_that_link_to_each_other_are_refused(root: Path) -> None:
    put(root / "a" / "file")
    put(root / "b" / "file")
    (root / "a" / "to-b").symlink_to("../b")
    (root / "b" / "to-a").symlink_to("../a")
    with pytest.raises(InvalidManifest, match="leads back"):
        walk(root)


def test_pipes_sockets_and_devices_are_refused_by_name(root: Path) -> None:
    os.mkfifo(root / "a-pipe")
    with pytest.raises(InvalidManifest, match="a-pipe' is a pipe"):
        walk(root)
    with pytest.raises(InvalidManifest, match="a-pipe' is a pipe"):
        walk(root / "a-pipe")
    os.unlink(root / "a-pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "a-socket"))
        with pytest.raises(InvalidManifest, match="a-socket' is a socket"):
            walk(root)
    with pytest.raises(InvalidManifest, match="/dev/null' is a device"):
        walk(Path("/dev/null"))


@pytest.mark.parametrize("name", [b"bad\xff", b"line\nend", b"back\\slash"])
def test_a_name_no_manifest_may_hold_is_refused(root: Path, name: bytes) -> None:
    with open(os.path.join(os.fsencode(root), name), "wb"):
        pass
    with pytest.raises(InvalidManifest):
        walk(root)


def test_an_unsafe_prefix_is_refused(root: Path) -> None:
    put(root / "file")
    with pytest.raises(InvalidManifest):
        walk(root, prefix="../up")


def test_one_file_too_many_is_refused(root: Path) -> None:
    for number in range(6):
        put(root / f"sub-{number % 2}" / f"file-{number}")
    with pytest.raises(LimitExceeded, match="more than 5 files"):
        walk(root, files_max=5)
    assert len(walk(root, files_max=6)) == 6


def test_a_folder_too_deep_is_refused(root: Path) -> None:
    folder = root
    for _ in range(DEPTH_MAX + 1):
        folder = folder / "d"
    folder.mkdir(parents=True)
    with pytest.raises(LimitExceeded, match="too deep"):
        walk(root)
    os.rmdir(folder)
    assert walk(root).files == []


def test_an_unreadable_folder_is_named(root: Path) -> None:
    put(root / "locked" / "file")
    (root / "locked").chmod(0)
    try:
        if os.access(root / "locked", os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(InvalidInput, match="locked"):
            walk(root)
    finally:
        (root / "locked").chmod(0o700)


# --- found ---


def test_an_empty_folder_holds_nothing_and_is_reported(root: Path) -> None:
    assert walk(root) == walk(root)
    assert (walk(root).files, walk(root).empty_folders) == ([], ["."])
    put(root / "a" / "file")
    (root / "b" / "c").mkdir(parents=True)
    tree = walk(root, prefix="p")
    assert [file.name for file in tree] == ["p/a/file"]
    assert tree.empty_folders == ["p/b/c"]


def test_files_come_sorted_with_their_stat_and_hidden_ones_too(root: Path) -> None:
    names = ["b", "a/z", "a.txt", ".hidden/.file", "a/B", "ü"]
    for name in names:
        put(root / name, content=name)
    tree = walk(root)
    assert [file.name for file in tree] == sorted(names)
    for file in tree:
        found = os.stat(root / file.name)
        assert file.path == os.path.realpath(root / file.name)
        assert (file.size_bytes, file.mtime_ns, file.ctime_ns, file.inode, file.device) == (
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_ino,
            found.st_dev,
        )


def test_links_inside_the_tree_are_followed_under_their_own_names(root: Path) -> None:
    put(root / "steps" / "17" / "model.bin")
    (root / "latest").symlink_to("steps/17")
    (root / "best.bin").symlink_to(root / "latest" / "model.bin")
    tree = walk(root)
    assert [file.name for file in tree] == ["best.bin", "latest/model.bin", "steps/17/model.bin"]
    assert {file.path for file in tree} == {os.path.realpath(root / "steps" / "17" / "model.bin")}


def test_the_root_may_be_a_link_or_relative(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root / "file")
    (root.parent / "link").symlink_to(root)
    monkeypatch.chdir(root.parent)
    assert walk(root) == walk(Path("link")) == walk(Path("root")) == walk(Path("root/../root"))


def test_a_single_file_is_a_tree_under_its_own_name(root: Path) -> None:
    put(root / "epoch-17.bin")
    (root / "best.bin").symlink_to("epoch-17.bin")
    assert [file.name for file in walk(root / "epoch-17.bin")] == ["epoch-17.bin"]
    [linked] = walk(root / "best.bin", prefix="weights")
    assert linked.name == "weights/best.bin"
    assert linked.path == os.path.realpath(root / "epoch-17.bin")


@given(st.lists(st.lists(st.sampled_from(["a", "b", ".c", "ü x"]), min_size=1, max_size=4), max_size=8))
def test_every_file_is_found_once(
    tmp_path_factory: pytest.TempPathFactory, branches: list[list[str]]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    names = {"/".join(branch) + "/leaf" for branch in branches}
    for name in names:
        put(root / name)
    assert [file.name for file in walk(root)] == sorted(names)
