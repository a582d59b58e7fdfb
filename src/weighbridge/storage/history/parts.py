"""The parts a run's history is read from: chunks and segments behind one face, and how they overlap.

It must not merge values; `reading` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from weighbridge.domain.chunk import Chunk, Kind
from weighbridge.storage.history.blocks import Statistics, unpack_blocks
from weighbridge.storage.history.columns import Ints, Values, array_of, damaged, empty_values, unified
from weighbridge.storage.history.index import ColumnIndex, SegmentIndex
from weighbridge.storage.history.parquet import decode_page

STEP = "_step"
TIMESTAMP = "_timestamp"
STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1


class SegmentPart(msgspec.Struct, frozen=True):
    """A stored segment: its index, how to read a range of its file, how to find a column's packed blocks."""

    index: SegmentIndex
    read_range: Callable[[int, int], bytes]
    find_blocks: Callable[[str], bytes | None]


Part: TypeAlias = Chunk | SegmentPart
"""One part of a run's history. Parts are always listed in order of arrival."""


class Piece(NamedTuple):
    """Values of one column from one part, in order of arrival; steps may repeat where the part is a chunk."""

    kind: Kind
    steps: Ints
    values: Values


class ChunkReader:
    """Reads one chunk, keeping its steps for the next column."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self.step_min, self.step_max = chunk.step_min, chunk.step_max
        self.row_count = chunk.row_count
        self._steps: Ints | None = None

    @property
    def names(self) -> Sequence[str]:
        return self._chunk.names

    def count(self, name: str) -> int:
        """Values of the column in the whole part."""
        if name in (STEP, TIMESTAMP):
            return self.row_count
        info = self._chunk.find_column_info(name)
        return 0 if info is None else info.count

    def find_blocks(self, name: str) -> Statistics | None:
        """A chunk has no blocks."""
        del name
        return None

    def steps(self) -> Ints:
        """The steps in order of arrival."""
        if self._steps is None:
            progression = self._chunk.step_progression()
            if progression is None:
                self._steps = np.frombuffer(self._chunk.steps(), dtype=np.int64)
            else:
                start, stride = progression
                self._steps = start + stride * np.arange(self.row_count, dtype=np.int64)
        return self._steps

    def find_piece(self, name: str, step_min: int, step_max: int) -> Piece | None:
        """The column's values between the steps, both included; None if the part has no such column."""
        steps = self.steps()
        kind: Kind = "f"
        values: Values
        if name == STEP:
            kind, values = "i", steps
        elif name == TIMESTAMP:
            values = np.frombuffer(self._chunk.times_us(), dtype=np.int64) / 1e6
        elif name not in self._chunk:
            return None
        else:
            data = self._chunk.read(name)
            kind, values = data.kind, array_of(data.kind, data.values)
            if data.index is not None:
                steps = steps[np.frombuffer(data.index, dtype=np.int64)]
        if self.step_min < step_min or self.step_max > step_max:
            is_inside = (steps >= step_min) & (steps <= step_max)
            steps, values = steps[is_inside], values[is_inside]
        return Piece(kind, steps, values)

    def windows(self, step_min: int, step_max: int) -> list[tuple[int, int]]:
        """Ranges of steps to read one at a time."""
        return [(max(step_min, self.step_min), min(step_max, self.step_max))]


class SegmentReader:
    """Reads pages of one segment, keeping the steps of the last pages for the next column."""

    def __init__(self, part: SegmentPart) -> None:
        self._part = part
        self._index = part.index
        self.step_min, self.step_max = part.index.step_min, part.index.step_max
        self.row_count = part.index.row_count
        self._firsts = np.array(part.index.page_firsts, dtype=np.int64)
        self._lasts = np.array(part.index.page_lasts, dtype=np.int64)
        self._span: tuple[int, int] | None = None
        self._steps: Ints = np.empty(0, np.int64)

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._index.columns)

    def count(self, name: str) -> int:
        """Values of the column in the whole part."""
        if name in (STEP, TIMESTAMP):
            return self.row_count
        column = self._index.columns.get(name)
        return 0 if column is None else column.count

    def find_blocks(self, name: str) -> Statistics | None:
        """The stored block statistics of a numeric column."""
        column = self._index.columns.get(name)
        packed = self._part.find_blocks(name) if column and column.kind in ("f", "i", "b") else None
        return None if packed is None else unpack_blocks(packed)

    def steps(self) -> Ints:
        """All steps, rising."""
        return self._steps_of(0, len(self._firsts))

    def find_piece(self, name: str, step_min: int, step_max: int) -> Piece | None:
        """The column's values between the steps, both included; None if the part has no such column."""
        column = self._index.columns.get(name)
        if column is None and name not in (STEP, TIMESTAMP):
            return None
        first = int(np.searchsorted(self._lasts, step_min, side="left"))
        stop = int(np.searchsorted(self._firsts, step_max, side="right"))
        if first >= stop:
            nothing: Kind = column.kind if column else "i" if name == STEP else "f"
            return Piece(nothing, np.empty(0, np.int64), empty_values(nothing))
        steps = self._steps_of(first, stop)
        kind: Kind = "f"
        values: Values = steps
        if column is not None:
            rows, kind, values = self._column_of(column, first, stop)
            steps = steps if rows is None else steps[rows]
        elif name == STEP:
            kind = "i"
        else:
            values = self._required_of(self._index.times, first, stop) / 1e6
        low = int(np.searchsorted(steps, step_min, side="left"))
        high = int(np.searchsorted(steps, step_max, side="right"))
        return Piece(kind, steps[low:high], values[low:high])

    def windows(self, step_min: int, step_max: int) -> list[tuple[int, int]]:
        """Ranges of steps to read one at a time: one for each page."""
        return [
            (max(first, step_min), min(last, step_max))
            for first, last in zip(self._index.page_firsts, self._index.page_lasts, strict=True)
            if first <= step_max and last >= step_min
        ]

    def _steps_of(self, first: int, stop: int) -> Ints:
        if self._span != (first, stop):
            stride = self._index.stride
            if stride is None:
                self._steps = self._required_of(self._index.steps, first, stop)
            else:
                start = self._index.page_firsts[first]
                self._steps = start + stride * np.arange(self._rows_of(first, stop), dtype=np.int64)
            self._span = (first, stop)
        return self._steps

    def _rows_of(self, first: int, stop: int) -> int:
        return min(stop * self._index.page_rows, self.row_count) - first * self._index.page_rows

    def _required_of(self, column: ColumnIndex, first: int, stop: int) -> Ints:
        values = self._column_of(column, first, stop, is_required=True)[2]
        return values.astype(np.int64, copy=False)

    def _column_of(
        self, column: ColumnIndex, first: int, stop: int, *, is_required: bool = False
    ) -> tuple[Ints | None, Kind, Values]:
        """The pages from `first` up to `stop`: rows counted from the first page's first, kind, values."""
        pages = column.pages[first:stop]
        if len(pages) != stop - first:
            raise damaged("its index lacks pages")
        start, end = pages[0].offset, pages[-1].offset + pages[-1].length
        data = memoryview(self._part.read_range(start, end - start))
        rows: list[tuple[int, int, Ints | None]] = []
        values: list[tuple[Kind, Values]] = []
        for number, page in enumerate(pages, first):
            body = data[page.offset - start : page.offset - start + page.length]
            row_count = self._rows_of(number, number + 1)
            present, found = decode_page(column, page, body, rows=row_count, is_required=is_required)
            rows.append(((number - first) * self._index.page_rows, row_count, present))
            values.append((column.kind, found))
        kind, joined = unified(values)
        return _joined_rows(rows), kind, joined


def _joined_rows(pages: Sequence[tuple[int, int, Ints | None]]) -> Ints | None:
    """The rows of all pages, each given as start, row count and the rows present; None if none is missing."""
    if all(present is None for _, _, present in pages):
        return None
    return np.concatenate(
        [
            np.arange(start, start + count, dtype=np.int64) if present is None else present + start
            for start, count, present in pages
        ]
    )


Reader: TypeAlias = ChunkReader | SegmentReader


def open_parts(parts: Sequence[Part]) -> list[Reader]:
    """A reader for each part, in the same order."""
    return [ChunkReader(part) if isinstance(part, Chunk) else SegmentReader(part) for part in parts]


def clusters(readers: Sequence[Reader], step_min: int, step_max: int) -> list[list[Reader]]:
    """Readers that reach into the range, in groups by rising step, so that no step lies in two groups.

    Within a group the order of arrival stays. Most groups hold one reader, and need no merging across parts.
    """
    inside = [
        (reader.step_min, arrival, reader)
        for arrival, reader in enumerate(readers)
        if reader.step_min <= step_max and reader.step_max >= step_min
    ]
    inside.sort(key=lambda entry: entry[:2])
    groups: list[list[tuple[int, Reader]]] = []
    reach = STEP_MIN
    for lowest, arrival, reader in inside:
        if not groups or lowest > reach:
            groups.append([])
            reach = reader.step_max
        groups[-1].append((arrival, reader))
        reach = max(reach, reader.step_max)
    return [[reader for _, reader in sorted(group, key=lambda entry: entry[0])] for group in groups]
