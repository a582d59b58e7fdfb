"""The HistoryEngine of services: folds parts into blobs, reads parts as arrays of bytes. No tables."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from weighbridge.domain.chunk import Chunk
from weighbridge.domain.run import RunRef
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.services.ports.blobs import BlobStore
from weighbridge.services.ports.history import (
    BucketArrays,
    HistoryParts,
    HistoryRows,
    NewSegment,
    SeriesArrays,
    Span,
    StoredChunk,
    StoredSegment,
)
from weighbridge.storage.history.buckets import bucket
from weighbridge.storage.history.columns import ColumnValues, Floats, Ints, Values
from weighbridge.storage.history.fold import fold
from weighbridge.storage.history.index import SegmentIndex, WrittenSegment
from weighbridge.storage.history.parts import (
    STEP,
    TIMESTAMP,
    Part,
    Reader,
    SegmentPart,
    clusters,
    open_parts,
)
from weighbridge.storage.history.reading import ColumnArrays, bounds, column_of
from weighbridge.storage.history.segment import MAX_SEGMENT_ROWS, SegmentRows, write_segment

WINDOW_ROWS = 65_536
"""Rows whose steps are looked at together where parts overlap."""


class HistoryEngine:
    """Arithmetic over chunks and segments; segments lie among `blobs`."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def fold(self, chunks: Sequence[StoredChunk], *, run: RunRef) -> NewSegment:
        """Put chunks, in order of arrival, into one segment among the blobs; durable on return."""
        file = io.BytesIO()
        written = fold([Chunk(chunk.data) for chunk in chunks], file, identity=_identity(run))
        return self._stored(file, written)

    def merge(self, segments: Sequence[StoredSegment], *, run: RunRef) -> NewSegment:
        """Put neighbouring segments, in order of arrival, into one segment; at most 1,048,576 rows."""
        if sum(segment.row_count for segment in segments) > MAX_SEGMENT_ROWS:
            raise LimitExceeded(
                f"Segments of run {run.path!r} hold over {MAX_SEGMENT_ROWS:,} rows together.",
                hint="Merge fewer.",
            )
        readers = open_parts([self._part(segment, None) for segment in segments])
        low, high = bounds(None, None)
        times = column_of(readers, TIMESTAMP, (low, high))

        def load(name: str) -> ColumnValues:
            column = column_of(readers, name, (low, high))
            is_whole = len(column.steps) == len(times.steps)
            rows = None if is_whole else np.searchsorted(times.steps, column.steps).astype(np.int64)
            return ColumnValues(column.kind, rows, column.values)

        names = list(dict.fromkeys(name for reader in readers for name in reader.names))
        file = io.BytesIO()
        rows = SegmentRows(times.steps, _microseconds(times.values), names, load)
        return self._stored(file, write_segment(rows, file, identity=_identity(run)))

    def series(self, parts: HistoryParts, span: Span) -> tuple[SeriesArrays, ...]:
        """Every value of the named metrics; those the run does not have are left out."""
        readers = self._open(parts)
        low, high = bounds(span.step_min, span.step_max)
        names = span.names if span.names is not None else _names_of(readers)
        found = [(name, column_of(readers, name, (low, high))) for name in names]
        found = [(name, column) for name, column in found if len(column)]
        if not found:
            return ()
        times = column_of(readers, TIMESTAMP, (low, high))
        times_us = _microseconds(times.values)
        return tuple(_series(name, column, times.steps, times_us) for name, column in found)

    def buckets(self, parts: HistoryParts, span: Span, *, buckets: int) -> BucketArrays:
        """One numeric metric in at most `buckets` groups by step."""
        if span.names is None or len(span.names) != 1:
            raise InvalidInput("Buckets are of one metric.", hint="Name exactly one.")
        found = bucket(
            self._parts(parts),
            span.names[0],
            buckets=buckets,
            step_min=span.step_min,
            step_max=span.step_max,
        )
        return BucketArrays(
            step_start=_little(found.step_start, "<i8"),
            step_end=_little(found.step_end, "<i8"),
            count=_little(found.count, "<i8"),
            nan_count=_little(found.nan_count, "<i8"),
            min=_little(found.min, "<f8"),
            max=_little(found.max, "<f8"),
            mean=_little(found.mean, "<f8"),
            last=_little(found.last, "<f8"),
        )

    def rows(self, parts: HistoryParts, span: Span, *, limit: int, require_all: bool) -> HistoryRows:
        """The first `limit` rows that have one (or all) of the names."""
        readers = self._open(parts)
        steps: list[int] = []
        for window in _step_windows(readers, span, require_all=require_all):
            steps += window[: limit + 1 - len(steps)].tolist()
            if len(steps) > limit:
                break
        wanted = np.array(steps[:limit], dtype=np.int64)
        return HistoryRows(
            rows=_rows_at(readers, wanted, span.names), next_step=steps[limit] if len(steps) > limit else None
        )

    def sample(self, parts: HistoryParts, span: Span, *, samples: int) -> list[dict[str, Any]]:
        """At most `samples` of the rows that have all the names, evenly spread, first and last among them."""
        readers = self._open(parts)
        low, high = bounds(span.step_min, span.step_max)
        steps = _steps_with(readers, span.names, low, high, require_all=True)
        if not len(steps):
            return []
        places = np.linspace(0, len(steps) - 1, min(samples, len(steps))).round().astype(np.int64)
        return _rows_at(readers, steps[np.unique(places)], span.names)

    def _open(self, parts: HistoryParts) -> list[Reader]:
        return open_parts(self._parts(parts))

    def _parts(self, parts: HistoryParts) -> list[Part]:
        found: list[Part] = [
            self._part(segment, parts.blocks.get(segment.segment_pk)) for segment in parts.segments
        ]
        found.extend(Chunk(chunk.data) for chunk in parts.chunks)
        return found

    def _part(self, segment: StoredSegment, blocks: bytes | None) -> SegmentPart:
        return SegmentPart(
            SegmentIndex.from_bytes(segment.directory), self._range_of(segment.digest), lambda _name: blocks
        )

    def _range_of(self, digest: str) -> Callable[[int, int], bytes]:
        return lambda start, length: self._blobs.read(digest, start=start, length=length)

    def _stored(self, file: io.BytesIO, written: WrittenSegment) -> NewSegment:
        info = self._blobs.put_bytes(file.getvalue())
        return NewSegment(
            digest=info.digest,
            row_count=written.index.row_count,
            step_min=written.index.step_min,
            step_max=written.index.step_max,
            directory=written.index.to_bytes(),
            blocks=written.blocks,
        )


def _identity(run: RunRef) -> dict[str, str]:
    return {
        "weighbridge.entity": run.entity,
        "weighbridge.project": run.project,
        "weighbridge.run_id": run.run_id,
    }


def _little(values: NDArray[Any], dtype: str) -> bytes:
    return np.ascontiguousarray(values, dtype=dtype).tobytes()


def _microseconds(times_s: Values) -> Ints:
    """Unix seconds back to the microseconds they were; a float64 holds those until the year 2242."""
    return np.rint(np.asarray(times_s, dtype=np.float64) * 1e6).astype(np.int64)


def _names_of(readers: Sequence[Reader]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for reader in readers for name in reader.names))


def _series(name: str, column: ColumnArrays, steps: Ints, times_us: Ints) -> SeriesArrays:
    times = times_us if len(column) == len(steps) else times_us[np.searchsorted(steps, column.steps)]
    if column.kind in ("f", "i"):
        values = _little(column.values, "<f8" if column.kind == "f" else "<i8")
    elif column.kind == "b":
        values = _little(column.values, "u1")
    else:
        values = msgspec.msgpack.encode(column.values.tolist())
    return SeriesArrays(
        name=name,
        kind=column.kind,
        steps=_little(column.steps, "<i8"),
        times_us=_little(times, "<i8"),
        values=values,
    )


def _steps_with(
    readers: Sequence[Reader], names: Sequence[str] | None, low: int, high: int, *, require_all: bool
) -> Ints:
    """Steps of the rows that have one, or all, of the names; of all rows without names."""
    wanted = [STEP] if not names else list(dict.fromkeys(names))
    columns = [column_of(readers, name, (low, high)).steps for name in wanted]
    steps = columns[0]
    for other in columns[1:]:
        if not np.array_equal(steps, other):
            steps = (
                np.intersect1d(steps, other, assume_unique=True) if require_all else np.union1d(steps, other)
            )
    return steps


def _step_windows(readers: Sequence[Reader], span: Span, *, require_all: bool) -> Iterator[Ints]:
    """The steps of matching rows, one window at a time, so that a page of rows reads only what it needs."""
    low, high = bounds(span.step_min, span.step_max)
    for group in clusters(readers, low, high):
        if len(group) == 1:
            windows = group[0].windows(low, high)
        else:
            steps = np.unique(np.concatenate([reader.steps() for reader in group]))
            firsts = steps[(steps >= low) & (steps <= high)][::WINDOW_ROWS].tolist()
            windows = [(first, end - 1) for first, end in zip(firsts, [*firsts[1:], high + 1], strict=True)]
        for first, last in windows:
            yield _steps_with(group, span.names, first, last, require_all=require_all)


def _rows_at(readers: Sequence[Reader], steps: Ints, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Rows at existing steps, with `_step`, `_timestamp` and what they have of the names."""
    if not len(steps):
        return []
    low, high = int(steps[0]), int(steps[-1])
    times = column_of(readers, TIMESTAMP, (low, high))
    times_s: Floats = np.asarray(times.values, dtype=np.float64)[np.searchsorted(times.steps, steps)]
    rows: list[dict[str, Any]] = [
        {STEP: step, TIMESTAMP: time_s} for step, time_s in zip(steps.tolist(), times_s.tolist(), strict=True)
    ]
    for name in _names_of(readers) if names is None else dict.fromkeys(names):
        if name in (STEP, TIMESTAMP):
            continue
        column = column_of(readers, name, (low, high))
        if not len(column):
            continue
        places = np.minimum(np.searchsorted(column.steps, steps), len(column) - 1)
        has_value = column.steps[places] == steps
        chosen = np.flatnonzero(has_value)
        values = column.values[places[chosen]].tolist()
        for place, value in zip(chosen.tolist(), values, strict=True):
            rows[place][name] = value
    return rows
