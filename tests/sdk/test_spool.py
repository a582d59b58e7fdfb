"""The spool law: what `append` took comes back whole, in order, once; damage is said and hides nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weighbridge.errors import DamagedRecord, SchemaTooNew, StorageError, StorageFull
from weighbridge.sdk import spool
from weighbridge.sdk.sender import has_owner
from weighbridge.sdk.spool import KIND_ITEM, KIND_ROW, SpoolWriter, new_spool_id
from weighbridge.sdk.spool_reader import (
    HEADER_BYTES,
    Block,
    Gap,
    SpoolReader,
    end_offset,
    segments,
    start_record,
)

Frames = list[tuple[int, bytes]]


def write(root: Path, frames: Frames, *, spool_id: str | None = None) -> SpoolWriter:
    writer = SpoolWriter(root, spool_id or new_spool_id(), b"start")
    for kind, payload in frames:
        assert writer.append(kind, payload)
    return writer


def read_all(folder: Path, *, is_final: bool = True) -> tuple[Frames, list[Gap]]:
    reader = SpoolReader(folder)
    frames: Frames = []
    gaps: list[Gap] = []
    while (taken := reader.read(is_final=is_final)) is not None:
        if isinstance(taken, Gap):
            gaps.append(taken)
        else:
            frames.extend((kind, bytes(payload)) for kind, payload in taken.frames)
    return frames, gaps


def problem_of(writer: SpoolWriter) -> StorageError | None:
    return writer.problem


frames_strategy = st.lists(
    st.tuples(st.sampled_from([KIND_ROW, KIND_ITEM]), st.binary(max_size=300)), max_size=40
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=frames_strategy)
def test_what_was_appended_comes_back_in_order(tmp_path: Path, frames: Frames) -> None:
    writer = write(tmp_path, frames)
    assert read_all(writer.path, is_final=False) == (frames, [])
    assert writer.offset == end_offset(writer.path)
    writer.release()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=frames_strategy.filter(bool), data=st.data())
def test_a_cut_tail_loses_only_the_torn_frame(tmp_path: Path, frames: Frames, data: st.DataObject) -> None:
    writer = write(tmp_path, frames)
    writer.release()
    _, path = segments(writer.path)[0]
    size = path.stat().st_size
    cut = data.draw(st.integers(HEADER_BYTES, size))
    os.truncate(path, cut)
    kept, gaps = read_all(writer.path)
    assert kept == frames[: len(kept)]
    whole = HEADER_BYTES + sum(len(payload) + spool.FRAME_BYTES for _, payload in kept)
    assert whole <= cut
    assert len(kept) == len(frames) or cut < whole + spool.FRAME_BYTES + len(frames[len(kept)][1])
    assert bool(gaps) == (cut > whole)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=frames_strategy.filter(bool), data=st.data())
def test_one_damaged_byte_costs_one_frame_and_is_said(
    tmp_path: Path, frames: Frames, data: st.DataObject
) -> None:
    writer = write(tmp_path, frames)
    writer.release()
    _, path = segments(writer.path)[0]
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(HEADER_BYTES, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    kept, gaps = read_all(writer.path)
    assert gaps
    ends = HEADER_BYTES
    for index, (_, payload) in enumerate(frames):
        ends += spool.FRAME_BYTES + len(payload)
        if at < ends:
            assert kept == frames[:index] + frames[index + 1 :]
            break


def test_a_frame_larger_than_a_block_is_read(tmp_path: Path) -> None:
    frames = [(KIND_ITEM, b"small"), (KIND_ITEM, os.urandom(3 << 20)), (KIND_ROW, b"after")]
    writer = write(tmp_path, frames)
    assert read_all(writer.path) == (frames, [])
    writer.release()


def test_segments_rotate_and_offsets_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1_000)
    frames = [(KIND_ROW, bytes([index]) * 100) for index in range(50)]
    writer = write(tmp_path, frames)
    parts = segments(writer.path)
    assert len(parts) > 3
    assert [offset for offset, _ in parts] == sorted({offset for offset, _ in parts})
    assert read_all(writer.path) == (frames, [])
    writer.release()


def test_a_missing_segment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1_000)
    writer = write(tmp_path, [(KIND_ROW, b"x" * 100) for _ in range(50)])
    writer.release()
    parts = segments(writer.path)
    parts[1][1].unlink()
    frames, gaps = read_all(writer.path)
    assert gaps == [Gap(parts[1][0], parts[2][0])]
    lost = (parts[2][0] - parts[1][0]) // (spool.FRAME_BYTES + 100)
    assert len(frames) == 50 - lost


def test_a_segment_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    writer = write(tmp_path, [(KIND_ROW, b"x")])
    writer.release()
    path = segments(writer.path)[0][1]
    path.write_bytes(b"WBSPOOL2" + path.read_bytes()[8:])
    with pytest.raises(SchemaTooNew, match="version 2"):
        read_all(writer.path)


def test_a_damaged_header_loses_no_frame(tmp_path: Path) -> None:
    writer = write(tmp_path, [(KIND_ROW, b"x")])
    writer.release()
    path = segments(writer.path)[0][1]
    path.write_bytes(bytes(HEADER_BYTES) + path.read_bytes()[HEADER_BYTES:])
    assert read_all(writer.path) == ([(KIND_ROW, b"x")], [])


def test_the_start_record_comes_back_and_damage_is_named(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "abc", b"who I am")
    writer.release()
    assert start_record(writer.path) == b"who I am"
    (writer.path / spool.START).write_bytes(b"rubbish")
    with pytest.raises(DamagedRecord, match="does not say which run"):
        start_record(writer.path)


def test_a_frame_under_way_is_waited_for(tmp_path: Path) -> None:
    writer = write(tmp_path, [(KIND_ROW, b"whole")])
    _, path = segments(writer.path)[0]
    coming = spool.frame(KIND_ROW, b"coming soon")
    with path.open("ab") as file:
        file.write(coming[:9])
    reader = SpoolReader(writer.path)
    first = reader.read(is_final=False)
    assert isinstance(first, Block) and len(first.frames) == 1
    assert reader.read(is_final=False) is None
    with path.open("ab") as file:
        file.write(coming[9:])
    second = reader.read(is_final=False)
    assert isinstance(second, Block) and bytes(second.frames[0][1]) == b"coming soon"
    writer.release()


def test_the_owner_is_known_while_it_lives(tmp_path: Path) -> None:
    writer = write(tmp_path, [])
    assert has_owner(writer.path)
    writer.release()
    assert not has_owner(writer.path)


def test_an_unwritable_folder_keeps_rows_until_it_can_be_written(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.write_text("a file stands where the folder should be")
    writer = SpoolWriter(root, "abc", b"start")
    assert isinstance(problem_of(writer), StorageError)
    assert not writer.append(KIND_ROW, b"first")
    root.unlink()
    assert writer.append(KIND_ROW, b"second")
    assert problem_of(writer) is None
    assert read_all(writer.path) == ([(KIND_ROW, b"first"), (KIND_ROW, b"second")], [])
    writer.release()


class FullDisk:
    """Lets `os.write` take part of a frame and then nothing, as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._write = os.write
        monkeypatch.setattr("weighbridge.sdk.spool.os.write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if not self.is_full:
            return self._write(fd, data)
        if len(data) > 5:
            return self._write(fd, data[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_loses_nothing_within_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = write(tmp_path, [(KIND_ROW, b"before")])
    disk = FullDisk(monkeypatch)
    disk.is_full = True
    rows = [(KIND_ROW, f"row {index}".encode()) for index in range(100)]
    assert not any(writer.append(kind, payload) for kind, payload in rows)
    assert isinstance(writer.problem, StorageFull)
    disk.is_full = False
    assert writer.append(KIND_ROW, b"after")
    frames, gaps = read_all(writer.path)
    assert frames == [(KIND_ROW, b"before"), *rows, (KIND_ROW, b"after")]
    assert gaps == []
    writer.release()


def test_past_the_bound_the_oldest_rows_go_and_are_counted_but_no_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "BACKLOG_BYTES", 1_000)
    writer = write(tmp_path, [])
    disk = FullDisk(monkeypatch)
    disk.is_full = True
    writer.append(KIND_ITEM, b"precious" * 10)
    for index in range(50):
        writer.append(KIND_ROW, b"%03d" % index * 10)
    assert writer.dropped_rows > 0
    assert writer.backlog_bytes <= 1_000
    disk.is_full = False
    assert writer.flush_backlog()
    frames, _ = read_all(writer.path)
    assert frames[0] == (KIND_ITEM, b"precious" * 10)
    assert frames[-1] == (KIND_ROW, b"049" * 10)
    assert len(frames) == 1 + 50 - writer.dropped_rows
    writer.release()
