"""Read a history chunk back: rows, columns and what its directory says of them.

The door to chunks: `encode_chunk` (chunk_encoding) and the names of the format (chunk_format) are handed on.
Standard library and msgspec only. It must not do IO, and must not merge rows.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import msgspec

from weighbridge.domain.chunk_encoding import encode_chunk
from weighbridge.domain.chunk_format import (
    BIG_INT_EXT,
    DELTA,
    DELTA_PLANES,
    HEADER,
    MAGIC,
    MAX_COLUMN_BYTES,
    MAX_COLUMNS,
    MAX_DEPTH,
    MAX_ENCODED_BYTES,
    MAX_INT_BITS,
    MAX_ROWS,
    PLANES,
    PROGRESSION,
    RAW,
    RESERVED_NAMES,
    STRIDE,
    VERSION,
    ZLIB,
    Buffer,
    ColumnInfo,
    Directory,
    Kind,
    Number,
)
from weighbridge.errors import DamagedRecord, NotFound, SchemaTooNew

Values: TypeAlias = "array[float] | array[int] | list[bool] | list[str] | list[object]"


class Row(NamedTuple):
    """One row of history: `step` is any int64, `time_s` unix seconds kept to the microsecond."""

    step: int
    time_s: float
    values: dict[str, object]


class ColumnData(msgspec.Struct, frozen=True):
    """The values of one column; `index` holds their row numbers, None where every row has one."""

    kind: Kind
    index: array[int] | None
    values: Values


def _decode_ext(code: int, data: memoryview) -> object:
    if code != BIG_INT_EXT:
        raise ValueError(f"unknown extension type {code}")
    return int.from_bytes(data, "little", signed=True)


_DIRECTORY_DECODER = msgspec.msgpack.Decoder(Directory)
_OBJECTS_DECODER = msgspec.msgpack.Decoder(list[object], ext_hook=_decode_ext)
_STRINGS_DECODER = msgspec.msgpack.Decoder(list[str])


def _damaged(what: str) -> DamagedRecord:
    return DamagedRecord(
        f"A history chunk is damaged: {what}.",
        hint="Send the rows again, or restore the store from a backup.",
    )


class Chunk:
    """The rows of one chunk, decoded only as far as they are asked for.

    Raises SchemaTooNew for a version this code does not know. Each part is checked against its checksum when
    it is read, and DamagedRecord names the part that fails.
    """

    __slots__ = ("_body", "_body_start", "_columns", "_data", "_directory", "_directory_end")

    def __init__(self, data: bytes) -> None:
        if len(data) < HEADER.size or data[:4] != MAGIC:
            raise _damaged("it does not begin with the chunk mark")
        _, version, _, directory_size, body_size, crc = HEADER.unpack_from(data)
        if version > VERSION:
            raise SchemaTooNew(
                f"A history chunk has format version {version}; this program reads up to {VERSION}.",
                hint="Upgrade weighbridge.",
            )
        self._data = data
        self._directory_end = HEADER.size + directory_size
        if len(data) != self._directory_end + body_size:
            raise _damaged(f"it has {len(data):,} bytes instead of {self._directory_end + body_size:,}")
        prefix = data[: HEADER.size - 4]
        if zlib.crc32(memoryview(data)[HEADER.size : self._directory_end], zlib.crc32(prefix)) != crc:
            raise _damaged("its directory fails its checksum")
        self._directory: Directory | None = None
        self._columns: dict[str, ColumnInfo] | None = None

    def __len__(self) -> int:
        return self.row_count

    def __contains__(self, name: object) -> bool:
        return name in self._column_map

    @property
    def size_bytes(self) -> int:
        return len(self._data)

    @property
    def row_count(self) -> int:
        return self._open().row_count

    @property
    def step_min(self) -> int:
        return self._open().step_min

    @property
    def step_max(self) -> int:
        return self._open().step_max

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in the order in which they were first seen."""
        return tuple(self._column_map)

    def column_info(self, name: str) -> ColumnInfo:
        info = self._column_map.get(name)
        if info is None:
            raise NotFound(
                f"The history chunk has no column {name!r}.", hint="Its columns are listed in `names`."
            )
        return info

    def find_column_info(self, name: str) -> ColumnInfo | None:
        return self._column_map.get(name)

    def step_progression(self) -> tuple[int, int] | None:
        """Start and stride when the steps are evenly spaced, without making an array of them."""
        buffer = self._open().steps
        if buffer.codec != STRIDE:
            return None
        start, stride = _unpack_progression(self._blob(buffer, "its steps"))
        return start, stride

    def steps(self) -> array[int]:
        return self._ints(self._open().steps, self.row_count, "its steps")

    def times_us(self) -> array[int]:
        """Unix microseconds, one for each row."""
        return self._ints(self._open().times, self.row_count, "its times")

    def times(self) -> array[float]:
        """Unix seconds, one for each row."""
        return array("d", [time_us / 1e6 for time_us in self.times_us()])

    def read(self, name: str) -> ColumnData:
        """The column's values in arrival order. Raises NotFound, DamagedRecord."""
        info = self.column_info(name)
        what = f"the column {name!r}"
        index = None if info.index is None else self._ints(info.index, info.count, f"the rows of {what}")
        if index is not None and not _is_ascending(index, self.row_count):
            raise _damaged(f"the rows of {what} are out of order")
        return ColumnData(info.kind, index, self._values(info, what))

    def rows(self) -> Iterator[Row]:
        """The rows in arrival order, nested dicts as dotted names."""
        values: list[dict[str, object]] = [{} for _ in range(self.row_count)]
        for name in self._column_map:
            column = self.read(name)
            index = range(self.row_count) if column.index is None else column.index
            for row, value in zip(index, column.values, strict=True):
                values[row][name] = value
        return map(Row, self.steps(), self.times(), values)

    def verify(self) -> None:
        """Check every checksum without decoding; raises DamagedRecord."""
        directory = self._open()
        self._blob(directory.steps, "its steps")
        self._blob(directory.times, "its times")
        for info in directory.columns:
            self._blob(info.values, f"the column {info.name!r}")
            if info.index is not None:
                self._blob(info.index, f"the rows of the column {info.name!r}")

    def _open(self) -> Directory:
        if self._directory is None:
            try:
                directory = _DIRECTORY_DECODER.decode(
                    memoryview(self._data)[HEADER.size : self._directory_end]
                )
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _damaged("its directory cannot be read") from error
            if not 0 < directory.row_count <= MAX_ROWS or len(directory.columns) > MAX_COLUMNS:
                raise _damaged("its directory states impossible sizes")
            self._directory = directory
        return self._directory

    @property
    def _column_map(self) -> dict[str, ColumnInfo]:
        if self._columns is None:
            self._columns = {info.name: info for info in self._open().columns}
        return self._columns

    def _blob(self, buffer: Buffer, what: str) -> memoryview:
        start = self._directory_end + buffer.offset
        if buffer.offset < 0 or buffer.length < 0 or start + buffer.length > len(self._data):
            raise _damaged(f"{what} lies outside it")
        if not 0 <= buffer.size <= MAX_COLUMN_BYTES:
            raise _damaged(f"{what} states an impossible size")
        blob = memoryview(self._data)[start : start + buffer.length]
        if zlib.crc32(blob) != buffer.crc:
            raise _damaged(f"{what} fails its checksum")
        return blob

    def _bytes(self, buffer: Buffer, what: str) -> bytes:
        blob = self._blob(buffer, what)
        raw = _inflate(blob, buffer.size, what) if buffer.codec == ZLIB else bytes(blob)
        if buffer.codec not in (RAW, ZLIB) or len(raw) != buffer.size:
            raise _damaged(f"{what} has a wrong length")
        return raw

    def _words(self, buffer: Buffer, count: int, what: str) -> bytes | bytearray | memoryview:
        blob = self._blob(buffer, what)
        raw: bytearray | memoryview = blob
        if buffer.codec in (PLANES, DELTA_PLANES):
            raw = _unpack_planes(blob, count, what)
        elif buffer.codec not in (RAW, DELTA):
            raise _damaged(f"{what} has an unknown encoding")
        if len(raw) != 8 * count:
            raise _damaged(f"{what} has a wrong length")
        return raw

    def _ints(self, buffer: Buffer, count: int, what: str) -> array[int]:
        if not 0 < count <= self.row_count:
            raise _damaged(f"{what} states an impossible count")
        values: array[int] = array("q")
        try:
            if buffer.codec == STRIDE:
                start, stride = _unpack_progression(self._blob(buffer, what))
                steps = range(start, start + stride * count, stride) if stride else [start] * count
                return array("q", steps)
            values.frombytes(self._words(buffer, count, what))
            if sys.byteorder == "big":
                values.byteswap()
            if buffer.codec in (DELTA, DELTA_PLANES):
                return array("q", accumulate(values))
        except OverflowError as error:
            raise _damaged(f"{what} leave the 64-bit integers") from error
        return values

    def _values(self, info: ColumnInfo, what: str) -> Values:
        if not 0 < info.count <= self.row_count or (info.index is None and info.count != self.row_count):
            raise _damaged(f"{what} states an impossible count")
        if info.kind == "i":
            return self._ints(info.values, info.count, what)
        if info.kind == "f":
            floats: array[float] = array("d")
            floats.frombytes(self._words(info.values, info.count, what))
            if sys.byteorder == "big":
                floats.byteswap()
            return floats
        raw = self._bytes(info.values, what)
        values: list[bool] | list[str] | list[object]
        try:
            if info.kind == "b":
                values = list(map(bool, raw))
            elif info.kind == "s":
                values = _STRINGS_DECODER.decode(raw)
            else:
                values = _OBJECTS_DECODER.decode(raw)
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
            raise _damaged(f"{what} cannot be read") from error
        if len(values) != info.count:
            raise _damaged(f"{what} has a wrong length")
        return values


def _unpack_progression(blob: memoryview) -> tuple[int, int]:
    if len(blob) != PROGRESSION.size:
        raise _damaged("a progression has a wrong length")
    start, stride = PROGRESSION.unpack(blob)
    return start, stride


def _is_ascending(index: array[int], row_count: int) -> bool:
    return index[0] >= 0 and index[-1] < row_count and all(map(int.__lt__, index, index[1:]))


def _inflate(blob: memoryview, size: int, what: str) -> bytes:
    decompressor = zlib.decompressobj(-15)
    try:
        raw = decompressor.decompress(blob, size + 1)
    except zlib.error as error:
        raise _damaged(f"{what} cannot be decompressed") from error
    if len(raw) != size or not decompressor.eof:
        raise _damaged(f"{what} has a wrong length")
    return raw


def _unpack_planes(blob: memoryview, count: int, what: str) -> bytearray:
    modes = int.from_bytes(blob[:2], "little")
    mode_of = [(modes >> (2 * number)) & 3 for number in range(8)]
    raw_start = 2 + mode_of.count(0)
    deflated_start = raw_start + mode_of.count(2) * count
    if 3 in mode_of or len(blob) < deflated_start:
        raise _damaged(f"{what} has a wrong length")
    soft = memoryview(b"")
    if 1 in mode_of:
        soft = memoryview(_inflate(blob[deflated_start:], mode_of.count(1) * count, what))
    words = bytearray(8 * count)
    constant_at, raw_at, soft_at = 2, raw_start, 0
    for number, mode in enumerate(mode_of):
        if mode == 0:
            words[number::8] = bytes(blob[constant_at : constant_at + 1]) * count
            constant_at += 1
        elif mode == 1:
            words[number::8] = soft[soft_at : soft_at + count]
            soft_at += count
        else:
            words[number::8] = blob[raw_at : raw_at + count]
            raw_at += count
    return words


__all__ = [
    "MAX_COLUMNS",
    "MAX_COLUMN_BYTES",
    "MAX_DEPTH",
    "MAX_ENCODED_BYTES",
    "MAX_INT_BITS",
    "MAX_ROWS",
    "RESERVED_NAMES",
    "Buffer",
    "Chunk",
    "ColumnData",
    "ColumnInfo",
    "Kind",
    "Number",
    "Row",
    "Values",
    "encode_chunk",
]
