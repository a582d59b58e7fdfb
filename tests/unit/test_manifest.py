"""Manifests: which paths are refused, that nothing else is lost, and what gives a version its identity."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.manifest import (
    ENTRIES_MAX,
    Manifest,
    ManifestEntry,
    check_entry_path,
)
from weighbridge.errors import InvalidManifest, LimitExceeded, NotFound

DIGEST = "ab" * 32
BAD_PATHS = [
    "",
    "/etc/passwd",
    "//host/share",
    "\\\\host\\share",
    "C:/x",
    "c:x",
    "a\\b",
    ".",
    "..",
    "../x",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "\ud800",
    "a/" + "b" * 256,
    "é" * 128,
    "/".join(["abcdefg"] * 129),
    "é/" * 341 + "ab",
    "x" * 10_000,
]

segments = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\:"), min_size=1
)
good_paths = (
    st.lists(segments.filter(lambda text: text not in {".", ".."}), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda path: len(path.encode()) < 250)
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
blobs = st.builds(ManifestEntry, path=good_paths, digest=digests, size_bytes=st.integers(0, 2**63 - 1))
references = st.builds(
    ManifestEntry,
    path=good_paths,
    digest=st.sampled_from(["", '"etag-1"', "x y"]),
    size_bytes=st.integers(0, 10),
    ref=st.sampled_from(["s3://bucket/key", "https://host/ä?b=c#d", "file:///data/x"]),
    extra=st.dictionaries(
        st.text("abc", max_size=3), st.none() | st.booleans() | st.integers(-9, 9) | st.text("é\n")
    ),
)


def _settled(entries: list[ManifestEntry]) -> list[ManifestEntry]:
    """The entries without those that repeat a path or make one both file and folder."""
    kept: dict[str, ManifestEntry] = {}
    for entry in entries:
        if not any(
            entry.path == path or entry.path.startswith(path + "/") or path.startswith(entry.path + "/")
            for path in kept
        ):
            kept[entry.path] = entry
    return list(kept.values())


entry_lists = st.lists(blobs | references, max_size=12).map(_settled)


def entry(path: str, digest: str = DIGEST, size_bytes: int = 1) -> ManifestEntry:
    return ManifestEntry(path=path, digest=digest, size_bytes=size_bytes)


# --- paths ---


@pytest.mark.parametrize("path", BAD_PATHS)
def test_an_unsafe_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        check_entry_path(path)
    assert caught.value.hint
    assert len(str(caught.value)) < 300
    with pytest.raises(InvalidManifest):
        entry(path)


def test_a_path_that_is_no_text_is_refused() -> None:
    bad: Any = b"bytes"
    with pytest.raises(InvalidManifest, match="bytes"):
        check_entry_path(bad)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        ".hidden",
        "...",
        "a/b.c",
        "a b",
        "ü/ß",
        "ab:b:c",
        "x" * 255,
        "é" * 127,
        "é/" * 340 + "abcd",
        "~",
        "$HOME",
        "a" * 2 + ":",
    ],
)
def test_an_unusual_but_safe_path_is_kept(path: str) -> None:
    assert check_entry_path(path) == path


@given(st.text() | st.text("./\\:aC\0é", max_size=12))
def test_an_accepted_path_stays_below_its_root(path: str) -> None:
    try:
        check_entry_path(path)
    except InvalidManifest:
        return
    assert os.path.normpath(f"/base/{path}") == f"/base/{path}"
    assert PurePosixPath("/base", path).is_relative_to("/base") and ".." not in PurePosixPath(path).parts
    windows = PureWindowsPath(path)
    assert not windows.drive and not windows.root and ".." not in windows.parts
    assert not any(ord(char) < 32 for char in path)


@given(good_paths)
def test_every_path_of_plain_segments_is_accepted(path: str) -> None:
    assert check_entry_path(path) == path


# --- entries ---


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": ""},
        {"digest": "AB" * 32},
        {"digest": "ab" * 31},
        {"digest": DIGEST, "size_bytes": -1},
        {"digest": DIGEST, "size_bytes": 1 << 63},
        {"digest": DIGEST, "size_bytes": True},
        {"digest": DIGEST, "size_bytes": 1.0},
        {"ref": ""},
        {"ref": "no scheme"},
        {"ref": "s3:/one-slash"},
        {"ref": "s3://a\nb"},
        {"ref": "s3://\ud800"},
        {"ref": "s3://" + "x" * 4_092},
        {"ref": "s3://a", "digest": "x" * 257},
        {"ref": "s3://a", "digest": "tab\t"},
        {"digest": DIGEST, "extra": {"k": [1]}},
        {"digest": DIGEST, "extra": {"k": 1 << 64}},
        {"digest": DIGEST, "extra": {"k" * 257: 1}},
        {"digest": DIGEST, "extra": {"k": "x" * 4_097}},
        {"digest": DIGEST, "extra": {"k": "\ud800"}},
        {"digest": DIGEST, "extra": {str(number): 1 for number in range(33)}},
    ],
)
def test_an_entry_with_an_impossible_field_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match="data.bin"):
        ManifestEntry(path="data.bin", **fields)


def test_an_entry_at_every_bound_is_kept() -> None:
    ManifestEntry(
        path="x" * 255,
        digest="x" * 256,
        size_bytes=(1 << 63) - 1,
        ref="s3://" + "x" * 4_091,
        extra={"k" * 256: "x" * 4_096, **{str(number): None for number in range(31)}},
    )


# --- manifests ---


@pytest.mark.parametrize(
    "paths", [["a", "a"], ["a", "a/b"], ["a/b/c", "x", "a"], ["a", "a.b", "a/b"], ["a/b", "a/b/c/d"]]
)
def test_a_path_that_is_there_twice_or_file_and_folder_is_refused(paths: list[str]) -> None:
    for order in itertools.permutations(paths):
        with pytest.raises(InvalidManifest):
            Manifest(entry(path) for path in order)


def test_more_than_a_million_entries_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="1,000,000"):
        Manifest(itertools.repeat(entry("a"), ENTRIES_MAX + 1))


def test_an_unknown_path_is_refused_with_the_nearest() -> None:
    manifest = Manifest([entry("weights/model.bin"), entry("config.json")])
    with pytest.raises(NotFound, match="'weights/model.bin'"):
        manifest.get("weights/modle.bin")
    assert manifest.find("weights/modle.bin") is None
    assert manifest.get("config.json") is manifest.find("config.json")


def test_an_empty_manifest_is_one() -> None:
    manifest = Manifest()
    assert (manifest.file_count, manifest.size_bytes, manifest.entries) == (0, 0, ())
    assert Manifest.decode(manifest.encode()) == manifest
    assert manifest.canonical_bytes() == b"weighbridge manifest 1\n"


def test_the_canonical_bytes_are_as_documented() -> None:
    manifest = Manifest(
        [
            entry("b/é", size_bytes=7),
            ManifestEntry(path="a", ref="s3://bucket/key", extra={"etag": "x"}),
            entry("B"),
        ]
    )
    assert manifest.canonical_bytes().decode() == (
        f"weighbridge manifest 1\n{DIGEST}\t1\tB\t\n\t0\ta\ts3://bucket/key\n{DIGEST}\t7\tb/é\t\n"
    )


@given(entry_lists, st.randoms(use_true_random=False))
def test_order_does_not_matter(entries: list[ManifestEntry], random: Any) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    one, two = Manifest(entries), Manifest.build(shuffled)
    assert one == two and hash(one) == hash(two)
    assert one.canonical_bytes() == two.canonical_bytes() and one.encode() == two.encode()
    assert [item.path for item in one] == sorted(item.path for item in entries)
    assert [item.path.encode() for item in one] == sorted(item.path.encode() for item in entries)


@given(entry_lists)
def test_encoding_loses_nothing(entries: list[ManifestEntry]) -> None:
    manifest = Manifest(entries)
    again = Manifest.decode(manifest.encode())
    assert again == manifest
    assert [dict(item.extra) for item in again] == [dict(item.extra) for item in manifest]
    assert again.size_bytes == sum(item.size_bytes for item in entries)
    assert len(again) == len(entries) == again.file_count


@given(entry_lists, entry_lists)
def test_the_identity_is_equal_exactly_where_nothing_differs(
    first: list[ManifestEntry], second: list[ManifestEntry]
) -> None:
    one, two = Manifest(first), Manifest(second)
    assert (one.canonical_bytes() == two.canonical_bytes()) == (not one.diff(two))


@given(entry_lists, entry_lists)
def test_a_difference_read_backwards_swaps_added_and_removed(
    first: list[ManifestEntry], second: list[ManifestEntry]
) -> None:
    one, two = Manifest(first), Manifest(second)
    there, back = one.diff(two), two.diff(one)
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed)
    assert not one.diff(one)
    assert {item.path for item in two} == ({item.path for item in one} - set(there.removed)) | set(
        there.added
    )


def test_a_difference_names_what_changed() -> None:
    old = Manifest([entry("same"), entry("gone"), entry("other")])
    new = Manifest([entry("same"), entry("new"), entry("other", digest="cd" * 32)])
    assert old.diff(new) == (["new"], ["gone"], ["other"])


def test_adding_makes_a_new_manifest_and_replaces_equal_paths() -> None:
    old = Manifest([entry("a"), entry("b")])
    new = old.add(entry("b", size_bytes=5), entry("c"))
    assert [(item.path, item.size_bytes) for item in new] == [("a", 1), ("b", 5), ("c", 1)]
    assert [item.path for item in old] == ["a", "b"]
    with pytest.raises(InvalidManifest):
        old.add(entry("a/x"))


def test_names_that_are_one_on_some_file_systems_are_warned_of() -> None:
    alike = ["Model.bin", "model.bin", "caf\u00e9", "cafe\u0301", "other"]
    warnings = Manifest(entry(path) for path in alike).warnings()
    assert len(warnings) == 2
    assert any("'Model.bin' and 'model.bin'" in text for text in warnings)
    assert Manifest([entry("a"), entry("b")]).warnings() == []


# --- damaged encodings ---


def _encoded(*columns: object) -> bytes:
    return b"WBM1" + zlib.compress(msgspec.msgpack.encode(columns))


def test_a_well_formed_encoding_made_by_hand_is_read() -> None:
    data = _encoded(["a", "b"], [1, 2], bytes.fromhex(DIGEST), [(1, "tag", "s3://x")], {0: {"k": 1}})
    assert [item.path for item in Manifest.decode(data)] == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"WBM1",
        b"WBM2" + zlib.compress(b""),
        b"WBM1" + zlib.compress(b"\x90"),
        Manifest([entry("a")]).encode()[:-1],
        Manifest([entry("a")]).encode() + b"x",
        _encoded(["../x"], [1], bytes(32), [], {}),
        _encoded(["/x"], [1], bytes(32), [], {}),
        _encoded(["a", "a/b"], [1, 1], bytes(64), [], {}),
        _encoded(["a", "a"], [1, 1], bytes(64), [], {}),
        _encoded(["a"], [-1], bytes(32), [], {}),
        _encoded(["a"], [1, 2], bytes(32), [], {}),
        _encoded(["a"], [1], bytes(31), [], {}),
        _encoded(["a"], [1], bytes(64), [], {}),
        _encoded(["a"], [1], b"", [(1, "", "s3://x")], {}),
        _encoded(["a"], [1], b"", [(0, "", "s3://x"), (0, "", "s3://y")], {}),
        _encoded(["a"], [1], b"", [(0, "", "not a reference")], {}),
        _encoded(["a"], [1], bytes(32), [], {7: {}}),
        _encoded(["a"], [1], bytes(32), [], {0: {"k": [1]}}),
        _encoded(["a"], [1], bytes(32), [], {}, "more"),
    ],
)
def test_a_damaged_or_dangerous_encoding_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidManifest):
        Manifest.decode(data)


def test_an_encoding_that_inflates_too_far_is_refused_unread() -> None:
    data = Manifest(entry(f"file-{number}") for number in range(200)).encode()
    with pytest.raises(InvalidManifest, match="10,000 bytes"):
        Manifest.decode(data[:4] + zlib.compress(bytes(100_000)), bytes_max=10_000)
    with pytest.raises(InvalidManifest, match="inflates"):
        Manifest.decode(data, bytes_max=1_000)
    assert len(Manifest.decode(data, bytes_max=20_000)) == 200


def _flip(data: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[position % len(data)] ^= 1 << bit
    return bytes(changed)


MUTATIONS: list[Callable[[bytes, int, int], bytes]] = [
    _flip,
    lambda data, position, _: data[: position % len(data)],
]


@given(entry_lists, st.integers(0, 10_000), st.integers(0, 7), st.sampled_from(MUTATIONS))
def test_no_damage_makes_another_manifest(
    entries: list[ManifestEntry], position: int, bit: int, mutate: Callable[[bytes, int, int], bytes]
) -> None:
    manifest = Manifest(entries)
    damaged = mutate(manifest.encode(), position, bit)
    try:
        assert Manifest.decode(damaged) == manifest
    except InvalidManifest:
        pass


@given(st.binary(max_size=60))
def test_any_bytes_are_a_manifest_or_refused(noise: bytes) -> None:
    for data in (noise, b"WBM1" + noise, b"WBM1" + zlib.compress(noise)):
        try:
            Manifest.decode(data)
        except InvalidManifest:
            pass
