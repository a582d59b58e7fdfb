"""Write a flat Parquet file column by column, with NumPy only. It must not know runs, chunks or steps' order.

Format: https://github.com/apache/parquet-format (README.md, Encodings.md, LogicalTypes.md, parquet.thrift),
using PLAIN values and RLE / bit-packed definition levels in version 1 data pages. All row groups of a column
lie one after another, so that one range read fetches the column; the format lets column chunks lie anywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from weighbridge.domain.chunk import Kind
from weighbridge.errors import LimitExceeded
from weighbridge.storage.history import thrift
from weighbridge.storage.history.columns import (
    Bools,
    ColumnValues,
    Floats,
    Ints,
    Values,
    damaged,
    plain_bytes,
    values_from_plain,
)
from weighbridge.storage.history.index import ColumnIndex, Page

ROW_GROUP_ROWS = 262_144
MAX_PAGE_BYTES = 256 * 1024 * 1024
CREATED_BY = "weighbridge-history version 1"

_MAGIC = b"PAR1"
_GZIP_WBITS = 31
_KEPT_SHARE = 0.9
_PROBE_BYTES = 16_384
_MIN_GZIP_BYTES = 128
_PLAIN, _RLE = 0, 3
_REQUIRED, _OPTIONAL = 0, 1
_UNCOMPRESSED, _GZIP = 0, 2
_PHYSICAL = {"f": 5, "i": 2, "b": 0, "s": 6, "j": 6}
_CONVERTED = {"s": 0, "j": 19}
_TIMESTAMP_MICROS = 10
_EMPTY_STRUCT = thrift.structure([])
_LOGICAL = {"s": thrift.structure([(1, _EMPTY_STRUCT)]), "j": thrift.structure([(12, _EMPTY_STRUCT)])}
_MICROS = thrift.structure([(2, _EMPTY_STRUCT)])
_TIMESTAMP = thrift.structure([(8, thrift.structure([(1, thrift.boolean(True)), (2, _MICROS)]))])


class _WrittenColumn(NamedTuple):
    schema: thrift.Value
    groups: list[thrift.Value]
    group_sizes: list[tuple[int, int]]


class ParquetWriter:
    """Writes one file: `write_column` for each column, all of `row_count` rows, then `finish`."""

    def __init__(self, file: BinaryIO, *, row_count: int, page_rows: int) -> None:
        self._file = file
        self._row_count = row_count
        self._page_rows = page_rows
        self._columns: list[_WrittenColumn] = []
        self._position = file.write(_MAGIC)

    def write_column(
        self, name: str, column: ColumnValues, *, is_required: bool = False, is_timestamp: bool = False
    ) -> ColumnIndex:
        """Append the column's pages; the index tells where they are. A page holds at most 256 MiB."""
        pages: list[Page] = []
        groups: list[thrift.Value] = []
        sizes: list[tuple[int, int]] = []
        for start in range(0, self._row_count, ROW_GROUP_ROWS):
            stop = min(start + ROW_GROUP_ROWS, self._row_count)
            written, meta, size = self._write_column_chunk(
                name, column, (start, stop), is_required=is_required
            )
            pages += written
            groups.append(meta)
            sizes.append(size)
        schema = _schema_element(name, column.kind, is_required=is_required, is_timestamp=is_timestamp)
        self._columns.append(_WrittenColumn(schema, groups, sizes))
        return ColumnIndex(column.kind, len(column.values), pages)

    def _write_column_chunk(
        self, name: str, column: ColumnValues, rows: tuple[int, int], *, is_required: bool
    ) -> tuple[list[Page], thrift.Value, tuple[int, int]]:
        first_offset = self._position
        raw_total, pages, is_gzip = 0, [], None
        for start in range(*rows, self._page_rows):
            stop = min(start + self._page_rows, rows[1])
            raw, count = _encode_page(column, start, stop, is_required=is_required)
            if len(raw) > MAX_PAGE_BYTES:
                raise LimitExceeded(
                    f"The metric {name!r} has {len(raw):,} bytes in {stop - start:,} rows, over the limit of "
                    f"{MAX_PAGE_BYTES:,} for one page of a segment.",
                    hint="Log large values as artifacts.",
                )
            is_gzip = _is_worth_gzip(raw) if is_gzip is None else is_gzip
            body = zlib.compress(raw, 1, _GZIP_WBITS) if is_gzip else raw
            crc = zlib.crc32(body)
            header = _page_header(len(raw), len(body), crc=crc, rows=stop - start)
            pages.append(Page(self._position + len(header), len(body), len(raw), crc, count, is_gzip))
            self._position += self._file.write(header) + self._file.write(body)
            raw_total += len(header) + len(raw)
        stored_total = self._position - first_offset
        statistics = _statistics(column, rows, sum(page.count for page in pages))
        encodings = [thrift.i32(_PLAIN)] if is_required else [thrift.i32(_PLAIN), thrift.i32(_RLE)]
        meta = thrift.structure(
            [
                (1, thrift.i32(_PHYSICAL[column.kind])),
                (2, thrift.listing(encodings)),
                (3, thrift.listing([thrift.text(name)])),
                (4, thrift.i32(_GZIP if is_gzip else _UNCOMPRESSED)),
                (5, thrift.i64(rows[1] - rows[0])),
                (6, thrift.i64(raw_total)),
                (7, thrift.i64(stored_total)),
                (9, thrift.i64(first_offset)),
                (12, statistics),
            ]
        )
        chunk = thrift.structure([(2, thrift.i64(first_offset)), (3, meta)])
        return pages, chunk, (raw_total, stored_total)

    def finish(self, key_values: Mapping[str, str]) -> int:
        """Write the footer; the size of the file in bytes."""
        root = thrift.structure([(4, thrift.text("schema")), (5, thrift.i32(len(self._columns)))])
        groups = [self._row_group(number) for number in range(-(-self._row_count // ROW_GROUP_ROWS))]
        pairs = [
            thrift.structure([(1, thrift.text(key)), (2, thrift.text(value))])
            for key, value in key_values.items()
        ]
        type_order = thrift.structure([(1, _EMPTY_STRUCT)])
        footer = thrift.structure(
            [
                (1, thrift.i32(1)),
                (2, thrift.listing([root, *(column.schema for column in self._columns)])),
                (3, thrift.i64(self._row_count)),
                (4, thrift.listing(groups)),
                (5, thrift.listing(pairs) if pairs else None),
                (6, thrift.text(CREATED_BY)),
                (7, thrift.listing([type_order] * len(self._columns))),
            ]
        ).payload
        tail = footer + len(footer).to_bytes(4, "little") + _MAGIC
        self._position += self._file.write(tail)
        return self._position

    def _row_group(self, number: int) -> thrift.Value:
        rows = min(ROW_GROUP_ROWS, self._row_count - number * ROW_GROUP_ROWS)
        raw_total = sum(column.group_sizes[number][0] for column in self._columns)
        stored_total = sum(column.group_sizes[number][1] for column in self._columns)
        sorting = thrift.structure(
            [(1, thrift.i32(0)), (2, thrift.boolean(False)), (3, thrift.boolean(False))]
        )
        return thrift.structure(
            [
                (1, thrift.listing([column.groups[number] for column in self._columns])),
                (2, thrift.i64(raw_total)),
                (3, thrift.i64(rows)),
                (4, thrift.listing([sorting])),
                (6, thrift.i64(stored_total)),
                (7, thrift.i16(number)),
            ]
        )


def decode_page(
    column: ColumnIndex, page: Page, body: memoryview, *, rows: int, is_required: bool = False
) -> tuple[Ints | None, Values]:
    """The values of one page, and their rows counted from the page's first where some rows have none."""
    if len(body) != page.length or zlib.crc32(body) != page.crc:
        raise damaged("a page fails its checksum")
    raw = memoryview(_gunzipped(body, page.size)) if page.is_gzip else body
    present: Ints | None = None
    if not is_required:
        end = 4 + int.from_bytes(raw[:4], "little")
        if page.count != rows:
            present = _present_rows(raw[4:end], rows)
            if len(present) != page.count:
                raise damaged("a page has wrong definition levels")
        raw = raw[end:]
    return present, values_from_plain(column.kind, raw, page.count)


def _gunzipped(body: memoryview, size: int) -> bytes:
    decompressor = zlib.decompressobj(_GZIP_WBITS)
    try:
        raw = decompressor.decompress(body, size)
    except zlib.error as error:
        raise damaged("a page cannot be decompressed") from error
    if len(raw) != size:
        raise damaged("a page has a wrong length")
    return raw


def _encode_page(column: ColumnValues, start: int, stop: int, *, is_required: bool) -> tuple[bytes, int]:
    """Definition levels and values of the rows from `start` up to `stop`, and the number of values."""
    if column.rows is None:
        values, levels = column.values[start:stop], _run(stop - start, 1)
    else:
        low, high = np.searchsorted(column.rows, (start, stop))
        values = column.values[low:high]
        if len(values) in (0, stop - start):
            levels = _run(stop - start, 1 if len(values) else 0)
        else:
            mask = np.zeros(stop - start, np.bool_)
            mask[column.rows[low:high] - start] = True
            levels = _bit_packed(mask)
    plain = plain_bytes(column.kind, values)
    if is_required:
        return plain, len(values)
    return b"".join((len(levels).to_bytes(4, "little"), levels, plain)), len(values)


def _run(rows: int, level: int) -> bytes:
    return thrift.varint(rows << 1) + bytes([level])


def _bit_packed(mask: Bools) -> bytes:
    return thrift.varint(-(-len(mask) // 8) << 1 | 1) + np.packbits(mask, bitorder="little").tobytes()


def _present_rows(levels: memoryview, rows: int) -> Ints:
    """The rows whose level is 1. Only what this writer writes is read: one run, or one bit-packed stretch."""
    head, position = 0, 0
    while position < min(len(levels), 5):
        head |= (levels[position] & 0x7F) << (7 * position)
        position += 1
        if levels[position - 1] < 0x80:
            break
    packed = np.frombuffer(levels[position:], dtype=np.uint8)
    if not head & 1:
        level = int(packed[0]) if len(packed) == 1 else 0
        return np.arange(rows if level else 0, dtype=np.int64)
    if len(packed) * 8 < rows:
        raise damaged("a page has wrong definition levels")
    return np.flatnonzero(np.unpackbits(packed, count=rows, bitorder="little"))


def _is_worth_gzip(raw: bytes) -> bool:
    """Whether gzip saves a tenth, judged from three stretches, because gzip on random bytes is slow."""
    if len(raw) < _MIN_GZIP_BYTES:
        return False
    if len(raw) <= 3 * _PROBE_BYTES:
        sample = raw
    else:
        middle = len(raw) // 2
        sample = raw[:_PROBE_BYTES] + raw[middle : middle + _PROBE_BYTES] + raw[-_PROBE_BYTES:]
    return len(zlib.compress(sample, 1, _GZIP_WBITS)) <= _KEPT_SHARE * len(sample)


def _page_header(raw_size: int, stored_size: int, *, crc: int, rows: int) -> bytes:
    data_page = thrift.structure(
        [(1, thrift.i32(rows)), (2, thrift.i32(_PLAIN)), (3, thrift.i32(_RLE)), (4, thrift.i32(_RLE))]
    )
    signed_crc = crc - 2**32 if crc >= 2**31 else crc
    return thrift.structure(
        [
            (1, thrift.i32(0)),
            (2, thrift.i32(raw_size)),
            (3, thrift.i32(stored_size)),
            (4, thrift.i32(signed_crc)),
            (5, data_page),
        ]
    ).payload


def _schema_element(name: str, kind: Kind, *, is_required: bool, is_timestamp: bool) -> thrift.Value:
    converted = _TIMESTAMP_MICROS if is_timestamp else _CONVERTED.get(kind)
    return thrift.structure(
        [
            (1, thrift.i32(_PHYSICAL[kind])),
            (3, thrift.i32(_REQUIRED if is_required else _OPTIONAL)),
            (4, thrift.text(name)),
            (6, None if converted is None else thrift.i32(converted)),
            (10, _TIMESTAMP if is_timestamp else _LOGICAL.get(kind)),
        ]
    )


def _statistics(column: ColumnValues, rows: tuple[int, int], count: int) -> thrift.Value:
    """Nulls, and the bounds of numbers; a float column with a NaN states none, as the format asks."""
    null_count = (3, thrift.i64(rows[1] - rows[0] - count))
    if column.kind not in ("f", "i") or count == 0:
        return thrift.structure([null_count])
    start, stop = rows if column.rows is None else np.searchsorted(column.rows, rows).tolist()
    values: Sequence[Values] = [column.values[start:stop]]
    low, high = values[0].min(), values[0].max()
    if np.isnan(low):
        return thrift.structure([null_count])
    if column.kind == "f" and low == 0:
        low = np.float64(-0.0)
    if column.kind == "f" and high == 0:
        high = np.float64(0.0)
    return thrift.structure([null_count, (5, thrift.binary(_word(high))), (6, thrift.binary(_word(low)))])


def _word(number: Floats | Ints) -> bytes:
    return number.astype(number.dtype.newbyteorder("<")).tobytes()
