"""The metric store's arithmetic: Parquet segments, and reads over chunks and segments. No SQL, no paths."""

from __future__ import annotations

from weighbridge.storage.history.buckets import MAX_BUCKETS, Buckets, bucket
from weighbridge.storage.history.columns import ColumnValues
from weighbridge.storage.history.fold import fold
from weighbridge.storage.history.index import ColumnIndex, SegmentIndex, WrittenSegment
from weighbridge.storage.history.parts import Part, SegmentPart
from weighbridge.storage.history.reading import (
    ColumnArrays,
    JoinedColumns,
    iter_rows,
    read_column,
    read_columns,
    sample_rows,
)
from weighbridge.storage.history.segment import MAX_SEGMENT_ROWS, SegmentRows, write_segment

__all__ = [
    "MAX_BUCKETS",
    "MAX_SEGMENT_ROWS",
    "Buckets",
    "ColumnArrays",
    "ColumnIndex",
    "ColumnValues",
    "JoinedColumns",
    "Part",
    "SegmentIndex",
    "SegmentPart",
    "SegmentRows",
    "WrittenSegment",
    "bucket",
    "fold",
    "iter_rows",
    "read_column",
    "read_columns",
    "sample_rows",
    "write_segment",
]
