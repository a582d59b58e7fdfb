"""Read columns and whole rows of one run from its parts: sorted by step, one value a step, the latest kept.

It must not fetch parts or know where they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from weighbridge.domain.chunk import Kind
from weighbridge.errors import InvalidInput
from weighbridge.storage.history.columns import Floats, Ints, Values, empty_values, unified
from weighbridge.storage.history.fold import last_of_each
from weighbridge.storage.history.parts import (
    STEP,
    STEP_MAX,
    STEP_MIN,
    TIMESTAMP,
    Part,
    Piece,
    Reader,
    clusters,
    open_parts,
)

MAX_SAMPLES = 1_000_000
_WINDOW_ROWS = 65_536
_BARE_KEYS = 2
"""`_step` and `_timestamp`, which every row has."""


class ColumnArrays(msgspec.Struct, frozen=True):
    """One metric by rising step; `values` is float64, int64, bool, or objects for the kinds `s` and `j`.

    `times_s` (unix seconds) is there where it was asked for.
    """

    kind: Kind
    steps: Ints
    values: Values
    times_s: Floats | None = None

    def __len__(self) -> int:
        return len(self.steps)


class JoinedColumns(msgspec.Struct, frozen=True):
    """Several metrics at the steps where each of them has a value; every array is as long as `steps`."""

    steps: Ints
    kinds: dict[str, Kind]
    values: dict[str, Values]

    def __len__(self) -> int:
        return len(self.steps)


def read_column(
    parts: Sequence[Part],
    name: str,
    *,
    step_min: int | None = None,
    step_max: int | None = None,
    with_times: bool = False,
) -> ColumnArrays:
    """One metric of a run, steps rising, one value a step; both bounds included.

    `_step` and `_timestamp` (unix seconds) are read like any metric. Empty where no part has the metric. A
    metric whose kind changed over the run is float64 if it held ints and floats, else kind `j`.
    """
    readers = open_parts(parts)
    span = bounds(step_min, step_max)
    column = column_of(readers, name, span)
    if not with_times:
        return column
    times = column_of(readers, TIMESTAMP, span)
    places = np.searchsorted(times.steps, column.steps)
    seconds = times.values.astype(np.float64, copy=False)
    return ColumnArrays(column.kind, column.steps, column.values, seconds[places])


def read_columns(
    parts: Sequence[Part],
    names: Sequence[str],
    *,
    step_min: int | None = None,
    step_max: int | None = None,
) -> JoinedColumns:
    """The metrics joined on step: only steps that have all of them. Use it for one metric against another."""
    if not names:
        raise InvalidInput("No metric was named.", hint="Name at least one metric to read.")
    readers = open_parts(parts)
    span = bounds(step_min, step_max)
    columns = {name: column_of(readers, name, span) for name in names}
    first, *others = columns.values()
    steps = first.steps
    for other in others:
        if not np.array_equal(steps, other.steps):
            steps = np.intersect1d(steps, other.steps, assume_unique=True)
    values = {
        name: column.values[np.searchsorted(column.steps, steps)]
        if len(column) != len(steps)
        else column.values
        for name, column in columns.items()
    }
    return JoinedColumns(steps, {name: column.kind for name, column in columns.items()}, values)


def iter_rows(
    parts: Sequence[Part],
    names: Sequence[str] | None = None,
    *,
    step_min: int | None = None,
    step_max: int | None = None,
    batch_rows: int = 10_000,
) -> Iterator[list[dict[str, object]]]:
    """Batches of merged rows by rising step, each with `_step` and `_timestamp` (unix seconds).

    With `names`, only those metrics, and only rows that have one of them. Memory is bounded by one page of
    every column of a segment (4 million values), or by the parts that overlap each other within 65,536 rows.
    """
    if not 1 <= batch_rows <= 1_000_000:
        raise InvalidInput(
            f"A batch of {batch_rows:,} rows is out of range.", hint="Use 1 to 1,000,000 rows."
        )
    wanted = (
        None if names is None else [name for name in dict.fromkeys(names) if name not in (STEP, TIMESTAMP)]
    )
    low, high = bounds(step_min, step_max)
    pending: list[dict[str, object]] = []
    for group in clusters(open_parts(parts), low, high):
        for window in _windows(group, low, high):
            pending += _rows_of(group, wanted, window)
            while len(pending) >= batch_rows:
                yield pending[:batch_rows]
                pending = pending[batch_rows:]
    if pending:
        yield pending


def sample_rows(
    parts: Sequence[Part],
    names: Sequence[str],
    *,
    samples: int = 500,
    step_min: int | None = None,
    step_max: int | None = None,
) -> list[dict[str, object]]:
    """At most `samples` rows, spread evenly over the rows that have all the names, the ends among them."""
    if not 1 <= samples <= MAX_SAMPLES:
        raise InvalidInput(f"{samples:,} samples are out of range.", hint=f"Use 1 to {MAX_SAMPLES:,}.")
    joined = read_columns(parts, names, step_min=step_min, step_max=step_max)
    if not len(joined):
        return []
    places = np.unique(np.linspace(0, len(joined) - 1, min(samples, len(joined))).round().astype(np.int64))
    columns = [joined.values[name][places].tolist() for name in joined.values]
    return [dict(zip(joined.values, row, strict=True)) for row in zip(*columns, strict=True)]


def bounds(step_min: int | None, step_max: int | None) -> tuple[int, int]:
    """The range of steps to read, clipped to int64."""
    low = STEP_MIN if step_min is None else max(step_min, STEP_MIN)
    high = STEP_MAX if step_max is None else min(step_max, STEP_MAX)
    return low, high


def column_of(readers: Sequence[Reader], name: str, span: tuple[int, int]) -> ColumnArrays:
    """The column merged over all readers, which are in order of arrival; both steps included."""
    low, high = span
    merged: list[Piece] = []
    for group in clusters(readers, low, high):
        pieces = [piece for reader in group if (piece := reader.find_piece(name, low, high)) is not None]
        pieces = [piece for piece in pieces if len(piece.steps)] or pieces[:1]
        if pieces:
            merged.append(_latest_by_step(pieces))
    merged = [piece for piece in merged if len(piece.steps)] or merged[:1]
    if not merged:
        return ColumnArrays("f", np.empty(0, np.int64), empty_values("f"))
    kind, values = unified([(piece.kind, piece.values) for piece in merged])
    steps = merged[0].steps if len(merged) == 1 else np.concatenate([piece.steps for piece in merged])
    return ColumnArrays(kind, steps, values)


def _latest_by_step(pieces: Sequence[Piece]) -> Piece:
    kind, values = unified([(piece.kind, piece.values) for piece in pieces])
    steps = pieces[0].steps if len(pieces) == 1 else np.concatenate([piece.steps for piece in pieces])
    if len(steps) > 1 and not bool((steps[1:] > steps[:-1]).all()):
        steps, newest = last_of_each(steps)
        values = values[newest]
    return Piece(kind, steps, values)


def _windows(group: Sequence[Reader], low: int, high: int) -> list[tuple[int, int]]:
    """Ranges of steps that cover the group, each small enough to hold its rows in memory."""
    if len(group) == 1:
        return group[0].windows(low, high)
    steps = np.unique(np.concatenate([reader.steps() for reader in group]))
    steps = steps[(steps >= low) & (steps <= high)]
    firsts = steps[::_WINDOW_ROWS].tolist()
    lasts = [*(first - 1 for first in firsts[1:]), high]
    return list(zip(firsts, lasts, strict=False))


def _rows_of(
    group: Sequence[Reader], names: Sequence[str] | None, window: tuple[int, int]
) -> list[dict[str, object]]:
    times = column_of(group, TIMESTAMP, window)
    rows: list[dict[str, object]] = [
        {STEP: step, TIMESTAMP: time_s}
        for step, time_s in zip(times.steps.tolist(), times.values.tolist(), strict=True)
    ]
    keep_bare = names is None
    if names is None:
        names = list(dict.fromkeys(name for reader in group for name in reader.names))
    for name in names:
        column = column_of(group, name, window)
        if len(column) == len(rows):
            for row, value in zip(rows, column.values.tolist(), strict=True):
                row[name] = value
        else:
            places = np.searchsorted(times.steps, column.steps).tolist()
            for place, value in zip(places, column.values.tolist(), strict=True):
                rows[place][name] = value
    return rows if keep_bare else [row for row in rows if len(row) > _BARE_KEYS]
