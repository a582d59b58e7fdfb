"""Thin a metric to buckets for a chart, with every spike kept.

It must not read values where block statistics answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from weighbridge.errors import InvalidInput
from weighbridge.storage.history.blocks import (
    BLOCK_VALUES,
    Statistics,
    block_statistics,
    combined,
    concatenated,
    summarise,
)
from weighbridge.storage.history.columns import Floats, Ints, numbers
from weighbridge.storage.history.parts import Part, Reader, SegmentReader, clusters, open_parts
from weighbridge.storage.history.reading import bounds, column_of

MAX_BUCKETS = 100_000
_BLOCKS_PER_BUCKET = 4
"""With fewer blocks a bucket, snapping to them would make neighbouring buckets too unequal."""


class Buckets(msgspec.Struct, frozen=True):
    """One entry a bucket, by rising step: buckets hold about equally many values and never overlap.

    `count` includes NaN, of which there are `nan_count`; `min`, `max` and `mean` leave NaN out and are NaN
    where nothing else is in the bucket; `last` is the value at `step_end`. All exact, except that a mean
    carries the rounding of a float64 sum and ints beyond 2**53 round to float64.
    """

    step_start: Ints
    step_end: Ints
    count: Ints
    min: Floats
    max: Floats
    mean: Floats
    last: Floats
    nan_count: Ints

    def __len__(self) -> int:
        return len(self.step_start)


def bucket(
    parts: Sequence[Part],
    name: str,
    *,
    buckets: int = 1000,
    step_min: int | None = None,
    step_max: int | None = None,
) -> Buckets:
    """The metric in at most `buckets` buckets (1 to 100,000) of about equally many values.

    One value a bucket where there are no more values than buckets. Where there are more than 1,024 values a
    bucket, buckets end at block boundaries and stored statistics answer for every segment no other part
    overlaps. Booleans count as 0 and 1; of kind `j` the numbers count; strings do not, so a text metric has
    no buckets.
    """
    if not 1 <= buckets <= MAX_BUCKETS:
        raise InvalidInput(f"{buckets:,} buckets are out of range.", hint=f"Ask for 1 to {MAX_BUCKETS:,}.")
    readers = open_parts(parts)
    span = bounds(step_min, step_max)
    groups = clusters(readers, *span)
    ceiling = sum(reader.count(name) for group in groups for reader in group)
    if ceiling > buckets * BLOCK_VALUES * _BLOCKS_PER_BUCKET:
        blocks = [part for group in groups for part in _blocks_of(group, name, span) if len(part)]
        if sum(map(len, blocks)) >= buckets * _BLOCKS_PER_BUCKET:
            joined = concatenated(blocks)
            return _as_buckets(combined(joined, _starts(len(joined), buckets)))
    steps, values = _numbers_of(readers, name, span)
    return _as_buckets(summarise(steps, values, _starts(len(values), buckets)))


def _starts(length: int, buckets: int) -> Ints:
    """Where each of at most `buckets` equal shares of `length` entries begins."""
    shares = min(length, buckets)
    return np.arange(shares, dtype=np.int64) * length // max(shares, 1)


def _numbers_of(readers: Sequence[Reader], name: str, span: tuple[int, int]) -> tuple[Ints, Floats]:
    column = column_of(readers, name, span)
    values, mask = numbers(column.values)
    return (column.steps if mask is None else column.steps[mask]), values


def _blocks_of(group: Sequence[Reader], name: str, span: tuple[int, int]) -> list[Statistics]:
    """Statistics of the group's values in the range; a block the range cuts is made anew from its values."""
    stored = group[0].find_blocks(name) if len(group) == 1 and isinstance(group[0], SegmentReader) else None
    if stored is None:
        return [block_statistics(*_numbers_of(group, name, span))]
    low, high = span
    first = int(np.searchsorted(stored.last_step, low, side="left"))
    stop = int(np.searchsorted(stored.first_step, high, side="right"))
    if first >= stop:
        return []
    cut_first = bool(stored.first_step[first] < low)
    cut_last = bool(stored.last_step[stop - 1] > high)
    if cut_first and stop - first == 1:
        return [block_statistics(*_numbers_of(group, name, span))]
    pieces: list[Statistics] = []
    if cut_first:
        end = int(stored.last_step[first])
        pieces.append(block_statistics(*_numbers_of(group, name, (low, end))))
    pieces.append(stored.between(first + cut_first, stop - cut_last))
    if cut_last:
        start = int(stored.first_step[stop - 1])
        pieces.append(block_statistics(*_numbers_of(group, name, (start, high))))
    return pieces


def _as_buckets(stretches: Statistics) -> Buckets:
    """A mean is kept within its bounds, which also answers for a sum beyond float64."""
    known = stretches.count - stretches.nan_count
    mean = np.full(len(stretches), np.nan)
    with np.errstate(invalid="ignore"):
        np.divide(stretches.sum, known, out=mean, where=known > 0)
        mean = np.minimum(np.maximum(mean, stretches.min), stretches.max)
    return Buckets(
        stretches.first_step,
        stretches.last_step,
        stretches.count,
        stretches.min,
        stretches.max,
        mean,
        stretches.last,
        stretches.nan_count,
    )
