"""Write a segment: sorted rows as one Parquet file, its index, and the block statistics of its columns.

It must not store anything but the bytes it writes to the file it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import msgspec
import numpy as np

from weighbridge.domain.chunk import MAX_COLUMNS, RESERVED_NAMES
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.storage.history.blocks import block_statistics, pack_blocks
from weighbridge.storage.history.columns import ColumnValues, Ints
from weighbridge.storage.history.index import INDEX_VERSION, ColumnIndex, SegmentIndex, WrittenSegment
from weighbridge.storage.history.parquet import ParquetWriter

MAX_SEGMENT_ROWS = 1_048_576
STEP_NAME = "_step"
TIME_NAME = "_time_us"

_MAX_PAGE_ROWS = 65_536
_MIN_PAGE_ROWS = 1_024
_PAGE_SPAN_VALUES = 4_194_304
"""Values in one page of every column together: what a reader of whole rows holds in memory at once."""


class SegmentRows(msgspec.Struct, frozen=True):
    """Rows sorted by step, one row a step; `load` gives one column at a time, so only one is in memory."""

    steps: Ints
    times_us: Ints
    names: Sequence[str]
    load: Callable[[str], ColumnValues]


def write_segment(rows: SegmentRows, file: BinaryIO, *, identity: Mapping[str, str]) -> WrittenSegment:
    """Write the rows to `file`; the index and blocks to keep beside it.

    1 to 1,048,576 rows and at most 100,000 columns, else LimitExceeded. `identity` names the run and goes
    into the file's key-value metadata. Flushing, syncing and renaming are the caller's.
    """
    _check(rows)
    row_count = len(rows.steps)
    page_rows = _page_rows(len(rows.names))
    writer = ParquetWriter(file, row_count=row_count, page_rows=page_rows)
    steps = writer.write_column(STEP_NAME, ColumnValues("i", None, rows.steps), is_required=True)
    times = writer.write_column(
        TIME_NAME, ColumnValues("i", None, rows.times_us), is_required=True, is_timestamp=True
    )
    columns: dict[str, ColumnIndex] = {}
    blocks: dict[str, bytes] = {}
    for name in rows.names:
        column = rows.load(name)
        columns[name] = writer.write_column(name, column)
        if column.kind in ("f", "i", "b") and len(column.values):
            steps_of_values = rows.steps if column.rows is None else rows.steps[column.rows]
            blocks[name] = pack_blocks(block_statistics(steps_of_values, column.values.astype(np.float64)))
    size_bytes = writer.finish({"weighbridge.format": "history-segment-1", **identity})
    firsts = rows.steps[::page_rows]
    lasts = rows.steps[np.minimum(np.arange(1, len(firsts) + 1) * page_rows, row_count) - 1]
    index = SegmentIndex(
        version=INDEX_VERSION,
        row_count=row_count,
        step_min=int(rows.steps[0]),
        step_max=int(rows.steps[-1]),
        size_bytes=size_bytes,
        page_rows=page_rows,
        stride=_stride(rows.steps),
        page_firsts=firsts.tolist(),
        page_lasts=lasts.tolist(),
        steps=steps,
        times=times,
        columns=columns,
    )
    return WrittenSegment(index, blocks)


def _check(rows: SegmentRows) -> None:
    row_count = len(rows.steps)
    if not row_count:
        raise InvalidInput(
            "A history segment needs at least one row.", hint="Fold only runs that have history."
        )
    if row_count > MAX_SEGMENT_ROWS or len(rows.names) > MAX_COLUMNS:
        raise LimitExceeded(
            f"A history segment of {row_count:,} rows and {len(rows.names):,} columns is over the limit of "
            f"{MAX_SEGMENT_ROWS:,} rows and {MAX_COLUMNS:,} columns.",
            hint="Fold fewer chunks at a time.",
        )
    if row_count > 1 and not (rows.steps[1:] > rows.steps[:-1]).all():
        raise InvalidInput("The steps of a segment must rise.", hint="Merge the rows of one step first.")
    taken = RESERVED_NAMES.intersection(rows.names)
    if taken or len(set(rows.names)) != len(rows.names):
        raise InvalidInput(
            "A column name of a segment is reserved or occurs twice.", hint="Rename the column."
        )


def _page_rows(column_count: int) -> int:
    """A power of two, so that pages divide row groups; fewer rows where there are many columns."""
    page_rows = _MAX_PAGE_ROWS
    while page_rows > _MIN_PAGE_ROWS and page_rows * column_count > _PAGE_SPAN_VALUES:
        page_rows //= 2
    return page_rows


def _stride(steps: Ints) -> int | None:
    if len(steps) == 1:
        return 1
    stride = int(steps[1]) - int(steps[0])
    spans = int(steps[-1]) - int(steps[0]) == stride * (len(steps) - 1)
    return stride if spans and bool((np.diff(steps) == stride).all()) else None
