"""Fold chunks into one segment: merge the rows of one step, sort by step, column by column.

It must not decide which chunks to fold, nor remove any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from weighbridge.domain.chunk import MAX_COLUMNS, Chunk, Kind
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.storage.history.columns import ColumnValues, Ints, Values, array_of, unified
from weighbridge.storage.history.index import WrittenSegment
from weighbridge.storage.history.segment import MAX_SEGMENT_ROWS, SegmentRows, write_segment


def fold(chunks: Sequence[Chunk], file: BinaryIO, *, identity: Mapping[str, str]) -> WrittenSegment:
    """Write the chunks of one run, given in order of arrival, as one segment.

    Rows of one step merge: of each column the value that arrived last stays, and the time of the latest row.
    At most 1,048,576 rows together, else LimitExceeded. Memory: the chunks, and one decoded column at a time.
    """
    row_count = sum(chunk.row_count for chunk in chunks)
    if not row_count:
        raise InvalidInput("There are no chunks to fold.", hint="Fold only runs that have history.")
    if row_count > MAX_SEGMENT_ROWS:
        raise LimitExceeded(
            f"{row_count:,} rows are over the limit of {MAX_SEGMENT_ROWS:,} for one segment.",
            hint="Fold fewer chunks at a time.",
        )
    merge = _Merge(chunks)
    return write_segment(
        SegmentRows(merge.steps, merge.times_us, merge.names, merge.load), file, identity=identity
    )


class _Merge:
    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = chunks
        self._starts = np.cumsum([0, *(chunk.row_count for chunk in chunks)]).tolist()
        arrived = np.concatenate([array_of("i", chunk.steps()) for chunk in chunks])
        times_us = np.concatenate([array_of("i", chunk.times_us()) for chunk in chunks])
        self.steps: Ints
        self.times_us: Ints
        self._row_of: Ints | None = None
        if len(arrived) == 1 or bool((arrived[1:] > arrived[:-1]).all()):
            self.steps, self.times_us = arrived, times_us
        else:
            self.steps, self._row_of = np.unique(arrived, return_inverse=True)
            self.times_us = times_us[last_of_each(self._row_of)[1]]
        self._holders: dict[str, list[int]] = {}
        for number, chunk in enumerate(chunks):
            for name in chunk.names:
                self._holders.setdefault(name, []).append(number)
        if len(self._holders) > MAX_COLUMNS:
            raise LimitExceeded(
                f"{len(self._holders):,} columns are over the limit of {MAX_COLUMNS:,} for one segment.",
                hint="Fold fewer chunks at a time.",
            )

    @property
    def names(self) -> list[str]:
        return list(self._holders)

    def load(self, name: str) -> ColumnValues:
        pieces: list[tuple[Kind, Values]] = []
        rows: list[Ints] = []
        for number in self._holders[name]:
            data = self._chunks[number].read(name)
            start = self._starts[number]
            if data.index is None:
                rows.append(np.arange(start, self._starts[number + 1], dtype=np.int64))
            else:
                rows.append(np.frombuffer(data.index, dtype=np.int64) + start)
            pieces.append((data.kind, array_of(data.kind, data.values)))
        kind, values = unified(pieces)
        place = np.concatenate(rows)
        if self._row_of is not None:
            place, newest = last_of_each(self._row_of[place])
            values = values[newest]
        return ColumnValues(kind, None if len(place) == len(self.steps) else place, values)


def last_of_each(keys: Ints) -> tuple[Ints, Ints]:
    """The distinct keys, rising, and for each the position of its last occurrence."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    return ordered[is_last], order[is_last]
