"""Reads frames back from a spool folder by global offset. It never writes; what is damaged is said.

A torn last frame (a writer killed in the middle of it, or still at it) ends the reading without an error. A
damaged frame in the middle is reported as a `Gap` and reading goes on at the next frame whose checksum
holds.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

from weighbridge.errors import DamagedRecord, SchemaTooNew, StorageError
from weighbridge.sdk.spool import FRAME, FRAME_BYTES, FRAME_MAGIC, FRAME_MAX_BYTES, KIND_START, MAGIC, START

HEADER_BYTES = len(MAGIC) + 8
READ_BYTES = 1 << 20


class Block(NamedTuple):
    """Whole frames as (kind, payload), which fill the global bytes [start, end)."""

    frames: list[tuple[int, memoryview]]
    start: int
    end: int


class Gap(NamedTuple):
    """Bytes [start, end) that hold no readable frame."""

    start: int
    end: int


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments of a spool as (global offset, path), in order; none where the spool was shipped and removed."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    stems = [name.removesuffix(".wbspool") for name in names if name.endswith(".wbspool")]
    return sorted((int(stem, 16), folder / f"{stem}.wbspool") for stem in stems if len(stem) == 16)


def end_offset(folder: Path) -> int:
    """The global offset after the last byte on disk; 0 for a spool without data."""
    parts = segments(folder)
    if not parts:
        return 0
    start, path = parts[-1]
    try:
        return start + max(0, path.stat().st_size - HEADER_BYTES)
    except FileNotFoundError:
        return start


def start_record(folder: Path) -> bytes:
    """The encoded StartRun of a spool. Raises DamagedRecord if it is damaged or missing."""
    try:
        frames, _ = parse_frames(memoryview((folder / START).read_bytes()), at_most=1)
    except OSError:
        frames = []
    if not frames or frames[0][0] != KIND_START:
        raise DamagedRecord(
            f"Spool {folder.name} does not say which run it belongs to.",
            hint=f"Its file {START!r} is damaged or gone; nothing was deleted from {folder}.",
            details={"path": str(folder)},
        )
    return bytes(frames[0][1])


class SpoolReader:
    """Reads a spool from an offset on, about `READ_BYTES` (or one larger frame) at a time."""

    def __init__(self, folder: Path, offset: int = 0) -> None:
        self.folder = folder
        self.offset = offset

    def read(self, *, is_final: bool) -> Block | Gap | None:
        """What comes next, advancing `offset` past it; None where nothing (whole) is there yet.

        is_final: nobody writes any more, so what stays unreadable at the end is a torn frame and is passed
        over as a Gap, as a missing segment is. Raises SchemaTooNew for a segment of a newer version,
        StorageError if it cannot be read.
        """
        try:
            located = self._locate()
            if located is None:
                return None
            if isinstance(located, Gap):
                self.offset = located.end
                return located
            start, path, is_last = located
            return self._next(path, start, may_wait=is_last and not is_final)
        except OSError as error:
            raise StorageError(
                f"The spool {self.folder} cannot be read: {error.strerror or error}.",
                hint="Check the folder's owner and mode, then run `weighbridge sync`.",
            ) from error

    def _locate(self) -> tuple[int, Path, bool] | Gap | None:
        """The segment that holds `offset`, the next one where one is read to its end, or the Gap before it."""
        parts = segments(self.folder)
        for index, (start, path) in enumerate(parts):
            end = start + max(0, path.stat().st_size - HEADER_BYTES)
            if self.offset < start:
                return Gap(self.offset, start)
            if self.offset < end:
                _check_version(path)
                return start, path, index == len(parts) - 1
        return None

    def _next(self, path: Path, start: int, *, may_wait: bool) -> Block | Gap | None:
        begin = self.offset
        data = _bytes_at(path, begin - start, READ_BYTES)
        frames, consumed = parse_frames(data)
        if not frames and (claimed := _claimed_length(data)) > len(data):
            data = _bytes_at(path, begin - start, claimed)  # one frame larger than a block
            frames, consumed = parse_frames(data)
        if frames:
            self.offset = begin + consumed
            return Block(frames, begin, self.offset)
        bad = _bytes_at(path, begin - start, FRAME_MAX_BYTES + READ_BYTES)
        if parse_frames(bad, at_most=1)[0]:
            return None  # the writer completed it between our two looks; the next read takes it
        skip = _resync(bad)
        if skip is None and may_wait and len(bad) < FRAME_MAX_BYTES:
            return None  # most likely a frame under way
        self.offset = begin + (len(bad) if skip is None else skip)
        return Gap(begin, self.offset)


def parse_frames(data: memoryview, *, at_most: int = 1 << 30) -> tuple[list[tuple[int, memoryview]], int]:
    """The whole, undamaged frames at the start of `data`, and how many bytes they fill."""
    frames: list[tuple[int, memoryview]] = []
    position, size = 0, len(data)
    unpack, crc32 = FRAME.unpack_from, zlib.crc32
    while (head := position + FRAME_BYTES) <= size and len(frames) < at_most:
        magic, kind, length, crc = unpack(data, position)
        end = head + length
        if magic != FRAME_MAGIC or end > size:
            break
        payload = data[head:end]
        if crc32(payload, (kind << 16 ^ length) & 0xFFFFFFFF) != crc:
            break
        frames.append((kind, payload))
        position = end
    return frames, position


def _claimed_length(data: memoryview) -> int:
    """What the frame header at the start of `data` says the frame fills; 0 where there is no header."""
    if len(data) < FRAME_BYTES:
        return 0
    magic, _, length, _ = FRAME.unpack_from(data)
    return FRAME_BYTES + int(length) if magic == FRAME_MAGIC and length <= FRAME_MAX_BYTES else 0


def _check_version(path: Path) -> None:
    """Refuse a segment that says it is of another version.

    Other damage to the header loses nothing: the file's name tells its offset, and each frame has a checksum.
    """
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head != MAGIC and head[:-1] == MAGIC[:-1]:
        raise SchemaTooNew(
            f"{path} is a spool segment of version {head[-1:].decode('ascii', 'replace')}.",
            hint="Upgrade weighbridge, then run: weighbridge sync. The spool is kept as it is.",
            details={"path": str(path)},
        )


def _bytes_at(path: Path, position: int, size: int) -> memoryview:
    with path.open("rb") as file:
        file.seek(HEADER_BYTES + position)
        return memoryview(file.read(size))


def _resync(data: memoryview) -> int | None:
    """Where the next whole frame begins after a damaged one, or None."""
    raw = bytes(data)
    at = raw.find(FRAME_MAGIC, 1)
    while at >= 0:
        if parse_frames(data[at:], at_most=1)[0]:
            return at
        at = raw.find(FRAME_MAGIC, at + 1)
    return None
