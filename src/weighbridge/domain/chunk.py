"""Encode history rows into one compressed columnar chunk, and read such a chunk back.

Standard library and msgspec only: this runs inside the training process. It must not do IO, and must not
merge rows: a chunk keeps its rows as they arrived. The bytes are described in
docs/design/0003-history-format.md.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from operator import itemgetter, sub
from typing import Literal, NamedTuple, TypeAlias, cast

import msgspec

from weighbridge.errors import DamagedRecord, InvalidInput, LimitExceeded, NotFound, SchemaTooNew

MAX_ROWS = 65_536
MAX_COLUMNS = 100_000
MAX_ENCODED_BYTES = 32 * 1024 * 1024
MAX_COLUMN_BYTES = 128 * 1024 * 1024
"""Bound of one column once decompressed, so that a small chunk cannot fill the memory of its reader."""
MAX_DEPTH = 32
"""Dicts nested deeper than this stay JSON values."""
MAX_INT_BITS = 14_000
"""Longer integers are refused: Python itself does not print more than 4,300 digits."""
RESERVED_NAMES = frozenset({"_step", "_time_us", "_timestamp"})
"""Names the row itself carries; a value may not use them."""

Kind: TypeAlias = Literal["f", "i", "b", "s", "j"]
"""float64, int64, bool, string, and anything else as one JSON value."""
Number: TypeAlias = float | int
Values: TypeAlias = "array[float] | array[int] | list[bool] | list[str] | list[object]"

_MAGIC = b"WBHC"
_VERSION = 1
_HEADER = struct.Struct("<4sHHIII")
_PROGRESSION = struct.Struct("<qq")
_RAW, _ZLIB, _PLANES, _DELTA, _DELTA_PLANES, _STRIDE = range(6)
_BIG_INT_EXT = 1
_KEPT_SHARE = 0.9
_SAMPLE = 128
_MIN_PACKED_BYTES = 64
_MIN_PLANED_WORDS = 128
_INT64 = range(-(2**63), 2**63)
_FLOAT_TYPES: frozenset[type] = frozenset({float})
_INT_TYPES: frozenset[type] = frozenset({int})
_PLAIN_TYPES: frozenset[type] = frozenset({float, int, bool, str, list, type(None)})


class Row(NamedTuple):
    """One row of history: `step` is any int64, `time_s` unix seconds kept to the microsecond."""

    step: int
    time_s: float
    values: dict[str, object]


class Buffer(msgspec.Struct, array_like=True, frozen=True):
    """Where one run of bytes lies in the chunk's body; `size` is its length once decoded."""

    codec: int
    offset: int
    length: int
    size: int
    crc: int


class ColumnInfo(msgspec.Struct, array_like=True, frozen=True):
    """What the directory says of one column, without decoding it.

    `last` is the value that arrived last. `min`, `max` and `sum` leave NaN out; they and `last` are None
    where the kind is `s` or `j`, and `min` and `max` where every value is NaN.
    """

    name: str
    kind: Kind
    count: int
    values: Buffer
    index: Buffer | None = None
    last: bool | Number | None = None
    min: bool | Number | None = None
    max: bool | Number | None = None
    sum: Number | None = None
    nan_count: int = 0


class ColumnData(msgspec.Struct, frozen=True):
    """The values of one column; `index` holds their row numbers, None where every row has one."""

    kind: Kind
    index: array[int] | None
    values: Values


class _Directory(msgspec.Struct, array_like=True, frozen=True):
    row_count: int
    step_min: int
    step_max: int
    steps: Buffer
    times: Buffer
    columns: list[ColumnInfo]


class _Gathered(NamedTuple):
    rows: list[int] | None
    values: Sequence[object]
    types: set[type]


# ---------------------------------------------------------------------------------------------- encoding


def encode_chunk(rows: Sequence[tuple[int, float, dict[str, object]]]) -> bytes:
    """The rows as one chunk, in the order given.

    1 to 65,536 rows, at most 100,000 columns and 32 MiB encoded, else LimitExceeded. Nested dicts become
    dotted names; of two values that get the same name in one row the later one stays. Raises InvalidInput for
    a reserved or non-string name, a step outside int64, a time that is not finite, or a value MessagePack
    cannot hold.
    """
    if not rows:
        raise InvalidInput("A history chunk needs at least one row.", hint="Skip empty batches.")
    if len(rows) > MAX_ROWS:
        raise LimitExceeded(
            f"A history chunk of {len(rows):,} rows is over the limit of {MAX_ROWS:,}.",
            hint="Send the rows in several chunks.",
        )
    steps: tuple[int, ...]
    times: tuple[float, ...]
    dicts: tuple[dict[str, object], ...]
    steps, times, dicts = zip(*rows, strict=True)
    gathered = _gather(dicts)
    if gathered is None:
        gathered = _gather([_flattened(values) for values in dicts], flat=True)
    assert gathered is not None
    body = _Body()
    step_buffer = body.add_ints(_checked_steps(steps))
    time_buffer = body.add_ints(_microseconds(times))
    columns = [_encode_column(body, name, column) for name, column in gathered.items()]
    directory = _Directory(len(rows), min(steps), max(steps), step_buffer, time_buffer, columns)
    return _assemble(_encode_msgpack(directory), body)


def _assemble(directory: bytes, body: _Body) -> bytes:
    size_bytes = _HEADER.size + len(directory) + body.size
    if size_bytes > MAX_ENCODED_BYTES:
        raise LimitExceeded(
            f"A history chunk of {size_bytes:,} bytes is over the limit of {MAX_ENCODED_BYTES:,}.",
            hint="Send fewer rows in a chunk, and log large values as artifacts.",
        )
    prefix = _HEADER.pack(_MAGIC, _VERSION, 0, len(directory), body.size, 0)[:-4]
    crc = zlib.crc32(directory, zlib.crc32(prefix))
    return b"".join((prefix, crc.to_bytes(4, "little"), directory, *body.parts))


class _Body:
    """Collects the chunk's buffers and hands out their places."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, codec: int, blob: bytes, size: int) -> Buffer:
        if size > MAX_COLUMN_BYTES:
            raise LimitExceeded(
                f"One column of {size:,} bytes is over the limit of {MAX_COLUMN_BYTES:,}.",
                hint="Log large values as artifacts.",
            )
        buffer = Buffer(codec, self.size, len(blob), size, zlib.crc32(blob))
        self.parts.append(blob)
        self.size += len(blob)
        return buffer

    def add_bytes(self, raw: bytes) -> Buffer:
        if len(raw) >= _MIN_PACKED_BYTES:
            packed = zlib.compress(raw, 1, -15)
            if len(packed) <= _KEPT_SHARE * len(raw):
                return self.add(_ZLIB, packed, len(raw))
        return self.add(_RAW, raw, len(raw))

    def add_words(self, words: array[float] | array[int], *, raw_codec: int = _RAW) -> Buffer:
        raw = _little_endian(words)
        planes = _pack_planes(raw)
        if planes is None:
            return self.add(raw_codec, raw, len(raw))
        return self.add(_PLANES if raw_codec == _RAW else _DELTA_PLANES, planes, len(raw))

    def add_ints(self, values: Sequence[int]) -> Buffer:
        """A progression as start and stride; else the differences, if they fit; else the values."""
        start, count = values[0], len(values)
        stride = values[1] - start if count > 1 else 0
        if start + stride * (count - 1) == values[-1] and stride in _INT64:
            expected = range(start, start + stride * count, stride) if stride else repeat(start, count)
            if all(map(int.__eq__, values, expected)):
                return self.add(_STRIDE, _PROGRESSION.pack(start, stride), 8 * count)
        try:
            deltas = array("q", [start, *map(sub, values[1:], values)])
        except OverflowError:
            return self.add_words(array("q", values))
        return self.add_words(deltas, raw_codec=_DELTA)


def _little_endian(words: array[float] | array[int]) -> bytes:
    if sys.byteorder == "big":
        words = words[:]
        words.byteswap()
    return words.tobytes()


def _pack_planes(raw: bytes) -> bytes | None:
    """The eight byte planes of 64-bit words, each as one byte, deflated or raw; None if that saves < 10 %.

    Which of the three is decided for each plane from a sample, because deflating the random low bytes of a
    float costs ten times what everything else does and gains nothing.
    """
    count = len(raw) // 8
    if count < _MIN_PLANED_WORDS:
        return None
    modes, constants, soft, hard = 0, bytearray(), [], []
    sample_stride = count // _SAMPLE or 1
    few = min(count, _SAMPLE) // 3
    for number in range(8):
        plane = raw[number::8]
        distinct = len(set(plane[::sample_stride]))
        if distinct == 1 and plane == plane[:1] * count:
            constants += plane[:1]
        elif distinct <= few:
            modes |= 1 << (2 * number)
            soft.append(plane)
        else:
            modes |= 2 << (2 * number)
            hard.append(plane)
    if len(constants) + len(soft) == 0:
        return None
    deflated = zlib.compress(b"".join(soft), 1, -15) if soft else b""
    packed = b"".join((modes.to_bytes(2, "little"), constants, *hard, deflated))
    return packed if len(packed) <= _KEPT_SHARE * len(raw) else None


def _checked_steps(steps: Sequence[int]) -> Sequence[int]:
    if set(map(type, steps)) != _INT_TYPES:
        wrong = next(step for step in steps if type(step) is not int)
        raise InvalidInput(f"The step {wrong!r} is not an integer.", hint="Steps are whole numbers.")
    if min(steps) not in _INT64 or max(steps) not in _INT64:
        raise InvalidInput("A step lies outside the 64-bit integers.", hint="Use smaller steps.")
    return steps


def _microseconds(times: Sequence[float]) -> list[int]:
    try:
        times_us = list(map(round, map((1e6).__mul__, times)))
    except (ValueError, OverflowError, TypeError) as error:
        raise InvalidInput(
            "A row's time is not a finite number of seconds.", hint="Pass unix seconds."
        ) from error
    if min(times_us) not in _INT64 or max(times_us) not in _INT64:
        raise InvalidInput("A row's time is out of range.", hint="Pass unix seconds.")
    return times_us


def _gather(dicts: Sequence[dict[str, object]], *, flat: bool = False) -> dict[str, _Gathered] | None:
    """Turn rows into columns, or None when a nested dict must be flattened first.

    Rows of the same keys are transposed together; a run usually has only one or two such layouts.
    """
    keys = list(map(tuple, dicts))
    if keys.count(keys[0]) == len(keys):
        return _transpose(keys[0], dicts, flat=flat)
    layouts: dict[tuple[str, ...], list[int]] = {}
    for row, layout in enumerate(keys):
        layouts.setdefault(layout, []).append(row)
    pieces: dict[str, list[tuple[list[int], _Gathered]]] = {}
    for layout, index in layouts.items():
        part = _transpose(layout, [dicts[row] for row in index], flat=flat)
        if part is None:
            return None
        for name, column in part.items():
            pieces.setdefault(name, []).append((index, column))
        _check_column_count(len(pieces))
    return {name: _joined(parts, len(dicts)) for name, parts in pieces.items()}


def _transpose(
    names: tuple[str, ...], dicts: Sequence[dict[str, object]], *, flat: bool
) -> dict[str, _Gathered] | None:
    _check_names(names)
    _check_column_count(len(names))
    columns: dict[str, _Gathered] = {}
    for name, values in zip(names, zip(*map(dict.values, dicts), strict=True), strict=True):
        types = set(map(type, values))
        if not flat and not types <= _PLAIN_TYPES and any(issubclass(kind, dict) for kind in types):
            return None
        columns[name] = _Gathered(None, values, types)
    return columns


def _joined(parts: list[tuple[list[int], _Gathered]], row_count: int) -> _Gathered:
    if len(parts) == 1:
        index, column = parts[0]
        return column._replace(rows=None if len(index) == row_count else index)
    pairs = sorted(
        (pair for index, column in parts for pair in zip(index, column.values, strict=True)),
        key=itemgetter(0),
    )
    rows, values = zip(*pairs, strict=True)
    types = set[type]().union(*(column.types for _, column in parts))
    return _Gathered(None if len(rows) == row_count else list(rows), values, types)


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise InvalidInput(f"The metric name {name!r} is not a string.", hint="Use strings as keys.")
    taken = RESERVED_NAMES.intersection(names)
    if taken:
        raise InvalidInput(
            f"The metric name {min(taken)!r} is reserved.", hint="The row itself carries its step and time."
        )


def _check_column_count(count: int) -> None:
    if count > MAX_COLUMNS:
        raise LimitExceeded(
            f"A history chunk of more than {MAX_COLUMNS:,} columns is over the limit.",
            hint="Log fewer different names, or log a table.",
        )


def _flattened(values: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    _flatten_into(flat, "", values, depth=0)
    return flat


def _flatten_into(flat: dict[str, object], prefix: str, values: Mapping[str, object], *, depth: int) -> None:
    for key, value in values.items():
        name = f"{prefix}{key}" if prefix else key
        if isinstance(value, dict) and value and "_type" not in value and depth < MAX_DEPTH:
            _flatten_into(flat, f"{name}.", value, depth=depth + 1)
        else:
            flat[name] = value


def _encode_column(body: _Body, name: str, column: _Gathered) -> ColumnInfo:
    index = None if column.rows is None else body.add_ints(column.rows)
    values, types = column.values, column.types
    count = len(values)
    kind = "f" if types == _FLOAT_TYPES else _kind_of(values, types)
    if kind == "f":
        floats = cast("Sequence[float]", values)
        if types != _FLOAT_TYPES:
            floats = list(map(float, floats))
        buffer = body.add_words(array("d", floats))
        return _with_statistics(ColumnInfo(name, "f", count, buffer, index), floats)
    if kind == "i":
        ints = list(map(int, cast("Sequence[int]", values)))
        return _with_statistics(ColumnInfo(name, "i", count, body.add_ints(ints), index), ints)
    if kind == "b":
        bools = cast("Sequence[bool]", values)
        return _with_statistics(ColumnInfo(name, "b", count, body.add_bytes(bytes(bools)), index), bools)
    if kind == "s":  # a subclass of str, such as an enum, may print as something else than what it is
        values = list(map(str.__str__, cast("Sequence[str]", values)))
    return ColumnInfo(name, kind, count, body.add_bytes(_encode_objects(name, values)), index)


def _kind_of(values: Sequence[object], types: set[type]) -> Kind:
    if types == {bool}:
        return "b"
    if all(issubclass(kind, str) for kind in types):
        return "s"
    if any(issubclass(kind, bool) or not issubclass(kind, (int, float)) for kind in types):
        return "j"
    if all(issubclass(kind, float) for kind in types):
        return "f"
    if all(issubclass(kind, int) for kind in types):
        return "i" if all(value in _INT64 for value in values) else "j"
    integers = [int(value) for value in values if isinstance(value, int)]
    try:
        return "f" if all(float(value) == value for value in integers) else "j"
    except OverflowError:
        return "j"


def _with_statistics(info: ColumnInfo, numbers: Sequence[Number]) -> ColumnInfo:
    last = numbers[-1]
    total: Number = sum(numbers)
    if total != total:
        numbers = [value for value in numbers if value == value]
        total = sum(numbers)
    if info.kind == "f" or total not in _INT64:
        total = float(total)
    lowest, highest = (min(numbers), max(numbers)) if numbers else (None, None)
    return ColumnInfo(
        info.name,
        info.kind,
        info.count,
        info.values,
        info.index,
        last,
        lowest,
        highest,
        total,
        info.count - len(numbers),
    )


def _encode_msgpack(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except UnicodeEncodeError as error:
        raise InvalidInput("A metric name or value is not valid Unicode.", hint=str(error)) from error


def _encode_objects(name: str, values: Sequence[object]) -> bytes:
    try:
        try:
            return _encode_msgpack(values)
        except OverflowError:
            return _encode_msgpack([_with_big_ints(value) for value in values])
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(
            f"The metric {name!r} holds a value that cannot be stored: {error}",
            hint="Log numbers, strings, booleans, lists and dicts.",
        ) from error


def _with_big_ints(value: object) -> object:
    if isinstance(value, int) and value not in range(-(2**63), 2**64):
        if value.bit_length() > MAX_INT_BITS:
            raise OverflowError(f"an integer of {value.bit_length():,} bits")
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return msgspec.msgpack.Ext(_BIG_INT_EXT, data)
    if isinstance(value, dict):
        return {key: _with_big_ints(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_big_ints(item) for item in value]
    return value


# ---------------------------------------------------------------------------------------------- decoding


def _decode_ext(code: int, data: memoryview) -> object:
    if code != _BIG_INT_EXT:
        raise ValueError(f"unknown extension type {code}")
    return int.from_bytes(data, "little", signed=True)


_DIRECTORY_DECODER = msgspec.msgpack.Decoder(_Directory)
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
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise _damaged("it does not begin with the chunk mark")
        _, version, _, directory_size, body_size, crc = _HEADER.unpack_from(data)
        if version > _VERSION:
            raise SchemaTooNew(
                f"A history chunk has format version {version}; this program reads up to {_VERSION}.",
                hint="Upgrade weighbridge.",
            )
        self._data = data
        self._directory_end = _HEADER.size + directory_size
        if len(data) != self._directory_end + body_size:
            raise _damaged(f"it has {len(data):,} bytes instead of {self._directory_end + body_size:,}")
        prefix = data[: _HEADER.size - 4]
        if zlib.crc32(memoryview(data)[_HEADER.size : self._directory_end], zlib.crc32(prefix)) != crc:
            raise _damaged("its directory fails its checksum")
        self._directory: _Directory | None = None
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
        if buffer.codec != _STRIDE:
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

    def _open(self) -> _Directory:
        if self._directory is None:
            try:
                directory = _DIRECTORY_DECODER.decode(
                    memoryview(self._data)[_HEADER.size : self._directory_end]
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
        raw = _inflate(blob, buffer.size, what) if buffer.codec == _ZLIB else bytes(blob)
        if buffer.codec not in (_RAW, _ZLIB) or len(raw) != buffer.size:
            raise _damaged(f"{what} has a wrong length")
        return raw

    def _words(self, buffer: Buffer, count: int, what: str) -> bytes | bytearray | memoryview:
        blob = self._blob(buffer, what)
        raw: bytearray | memoryview = blob
        if buffer.codec in (_PLANES, _DELTA_PLANES):
            raw = _unpack_planes(blob, count, what)
        elif buffer.codec not in (_RAW, _DELTA):
            raise _damaged(f"{what} has an unknown encoding")
        if len(raw) != 8 * count:
            raise _damaged(f"{what} has a wrong length")
        return raw

    def _ints(self, buffer: Buffer, count: int, what: str) -> array[int]:
        if not 0 < count <= self.row_count:
            raise _damaged(f"{what} states an impossible count")
        values: array[int] = array("q")
        try:
            if buffer.codec == _STRIDE:
                start, stride = _unpack_progression(self._blob(buffer, what))
                steps = range(start, start + stride * count, stride) if stride else [start] * count
                return array("q", steps)
            values.frombytes(self._words(buffer, count, what))
            if sys.byteorder == "big":
                values.byteswap()
            if buffer.codec in (_DELTA, _DELTA_PLANES):
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
    if len(blob) != _PROGRESSION.size:
        raise _damaged("a progression has a wrong length")
    start, stride = _PROGRESSION.unpack(blob)
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
