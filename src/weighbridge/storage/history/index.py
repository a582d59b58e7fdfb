"""The directory of a segment, kept apart from its file: where each page lies, so no reader parses Thrift.

It must not read or write files.
"""

from __future__ import annotations

import msgspec

from weighbridge.domain.chunk import Kind
from weighbridge.errors import DamagedRecord, SchemaTooNew

INDEX_VERSION = 1


class Page(msgspec.Struct, array_like=True, frozen=True):
    """Place of one page's body in the file; `count` values are present, `size` is its length decompressed."""

    offset: int
    length: int
    size: int
    crc: int
    count: int
    is_gzip: bool


class ColumnIndex(msgspec.Struct, array_like=True, frozen=True):
    """One column: its kind, how many values it holds, and one page for each stretch of `page_rows` rows."""

    kind: Kind
    count: int
    pages: list[Page]


class SegmentIndex(msgspec.Struct, array_like=True, frozen=True):
    """All a reader needs to know of a segment's file.

    Rows are sorted by step, one row a step. Page k of every column covers the rows from `k * page_rows`; its
    first and last step are `page_firsts[k]` and `page_lasts[k]`. `stride` is set where the steps are evenly
    spaced.
    """

    version: int
    row_count: int
    step_min: int
    step_max: int
    size_bytes: int
    page_rows: int
    stride: int | None
    page_firsts: list[int]
    page_lasts: list[int]
    steps: ColumnIndex
    times: ColumnIndex
    columns: dict[str, ColumnIndex]

    def to_bytes(self) -> bytes:
        """The index as MessagePack, to be stored beside the segment."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> SegmentIndex:
        """The index that `to_bytes` wrote. Raises DamagedRecord, SchemaTooNew."""
        try:
            head = msgspec.msgpack.decode(data, type=_IndexHead)
            if head.version > INDEX_VERSION:
                raise SchemaTooNew(
                    f"A segment index has format version {head.version}; this program reads {INDEX_VERSION}.",
                    hint="Upgrade weighbridge.",
                )
            return msgspec.msgpack.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DamagedRecord(
                "The index of a history segment cannot be read.", hint="Restore the database from a backup."
            ) from error


class _IndexHead(msgspec.Struct, array_like=True, frozen=True):
    version: int


class WrittenSegment(msgspec.Struct, frozen=True):
    """What was written: the index, and for each numeric column its block statistics, packed."""

    index: SegmentIndex
    blocks: dict[str, bytes]
