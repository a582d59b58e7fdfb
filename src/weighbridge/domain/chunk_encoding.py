"""Encode history rows into one compressed columnar chunk.

Standard library and msgspec only: this runs inside the training process. It must not do IO, and must not
merge rows: a chunk keeps its rows as they arrived.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import itemgetter, sub
from typing import NamedTuple, cast

import msgspec

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
from weighbridge.errors import InvalidInput, LimitExceeded

_KEPT_SHARE = 0.9
_SAMPLE = 128
_MIN_PACKED_BYTES = 64
_MIN_PLANED_WORDS = 128
_INT64 = range(-(2**63), 2**63)
_FLOAT_TYPES: frozenset[type] = frozenset({float})
_INT_TYPES: frozenset[type] = frozenset({int})
_PLAIN_TYPES: frozenset[type] = frozenset({float, int, bool, str, list, type(None)})


class _Gathered(NamedTuple):
    rows: list[int] | None
    values: Sequence[object]
    types: set[type]


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
    directory = Directory(len(rows), min(steps), max(steps), step_buffer, time_buffer, columns)
    return _assemble(_encode_msgpack(directory), body)


def _assemble(directory: bytes, body: _Body) -> bytes:
    size_bytes = HEADER.size + len(directory) + body.size
    if size_bytes > MAX_ENCODED_BYTES:
        raise LimitExceeded(
            f"A history chunk of {size_bytes:,} bytes is over the limit of {MAX_ENCODED_BYTES:,}.",
            hint="Send fewer rows in a chunk, and log large values as artifacts.",
        )
    prefix = HEADER.pack(MAGIC, VERSION, 0, len(directory), body.size, 0)[:-4]
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
                return self.add(ZLIB, packed, len(raw))
        return self.add(RAW, raw, len(raw))

    def add_words(self, words: array[float] | array[int], *, raw_codec: int = RAW) -> Buffer:
        raw = _little_endian(words)
        planes = _pack_planes(raw)
        if planes is None:
            return self.add(raw_codec, raw, len(raw))
        return self.add(PLANES if raw_codec == RAW else DELTA_PLANES, planes, len(raw))

    def add_ints(self, values: Sequence[int]) -> Buffer:
        """A progression as start and stride; else the differences, if they fit; else the values."""
        start, count = values[0], len(values)
        stride = values[1] - start if count > 1 else 0
        if start + stride * (count - 1) == values[-1] and stride in _INT64:
            expected = range(start, start + stride * count, stride) if stride else repeat(start, count)
            if all(map(int.__eq__, values, expected)):
                return self.add(STRIDE, PROGRESSION.pack(start, stride), 8 * count)
        try:
            deltas = array("q", [start, *map(sub, values[1:], values)])
        except OverflowError:
            return self.add_words(array("q", values))
        return self.add_words(deltas, raw_codec=DELTA)


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
        return msgspec.msgpack.Ext(BIG_INT_EXT, data)
    if isinstance(value, dict):
        return {key: _with_big_ints(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_big_ints(item) for item in value]
    return value
