"""The format of a history chunk: bounds, marks, codecs and the records of its directory.

What the encoder and the reader share, and no more: it must neither encode nor decode. The bytes are described
in docs/design/0003-history-format.md.
"""

from __future__ import annotations

import struct
from typing import Literal, TypeAlias

import msgspec

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

MAGIC = b"WBHC"
VERSION = 1
HEADER = struct.Struct("<4sHHIII")
PROGRESSION = struct.Struct("<qq")
RAW, ZLIB, PLANES, DELTA, DELTA_PLANES, STRIDE = range(6)
"""The codecs of a buffer."""
BIG_INT_EXT = 1
"""The MessagePack extension type of integers beyond 64 bits."""


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


class Directory(msgspec.Struct, array_like=True, frozen=True):
    """What stands at the beginning of a chunk: everything but the values."""

    row_count: int
    step_min: int
    step_max: int
    steps: Buffer
    times: Buffer
    columns: list[ColumnInfo]
