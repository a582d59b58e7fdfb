"""Statistics over stretches of one column, exact and mergeable, and their packed form beside a segment.

It must not read parts: it is given arrays, and gives arrays.
"""

from __future__ import annotations

import struct
import zlib

import msgspec
import numpy as np

from weighbridge.errors import DamagedRecord, SchemaTooNew
from weighbridge.storage.history.columns import Floats, Ints

BLOCK_VALUES = 256

_MAGIC = b"WBHB"
_VERSION = 1
_HEADER = struct.Struct("<4sHHIQ")
_BYTES_PER_BLOCK = 50


class Statistics(msgspec.Struct, frozen=True):
    """One entry a stretch. `min` and `max` are NaN where every value is; `sum` leaves NaN out."""

    first_step: Ints
    last_step: Ints
    count: Ints
    nan_count: Ints
    min: Floats
    max: Floats
    sum: Floats
    last: Floats

    def __len__(self) -> int:
        return len(self.first_step)

    def between(self, start: int, stop: int) -> Statistics:
        """The entries from `start` up to `stop`."""
        return Statistics(*(getattr(self, name)[start:stop] for name in self.__struct_fields__))


def summarise(steps: Ints, values: Floats, starts: Ints) -> Statistics:
    """Statistics of the stretches that begin at the positions `starts` (rising, the first 0)."""
    if not len(starts):
        return _EMPTY
    ends = np.append(starts[1:], len(values)) - 1
    nan = np.isnan(values)
    count = (ends - starts + 1).astype(np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        if nan.any():
            nan_count = np.add.reduceat(nan, starts, dtype=np.int64)
            low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
            total = np.add.reduceat(np.where(nan, 0.0, values), starts)
        else:
            nan_count = np.zeros(len(starts), np.int64)
            low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
            total = np.add.reduceat(values, starts)
    return Statistics(steps[starts], steps[ends], count, nan_count, low, high, total, values[ends])


def block_statistics(steps: Ints, values: Floats) -> Statistics:
    """Statistics of each 256 consecutive values."""
    return summarise(steps, values, np.arange(0, len(values), BLOCK_VALUES, dtype=np.int64))


def combined(stretches: Statistics, starts: Ints) -> Statistics:
    """Join neighbouring stretches: the joined ones begin at the positions `starts` (rising, the first 0)."""
    ends = np.append(starts[1:], len(stretches)) - 1
    with np.errstate(invalid="ignore", over="ignore"):
        return Statistics(
            stretches.first_step[starts],
            stretches.last_step[ends],
            np.add.reduceat(stretches.count, starts),
            np.add.reduceat(stretches.nan_count, starts),
            np.fmin.reduceat(stretches.min, starts),
            np.fmax.reduceat(stretches.max, starts),
            np.add.reduceat(stretches.sum, starts),
            stretches.last[ends],
        )


def concatenated(pieces: list[Statistics]) -> Statistics:
    """The entries of all pieces, one after another."""
    if len(pieces) == 1:
        return pieces[0]
    names = Statistics.__struct_fields__
    return Statistics(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))


def pack_blocks(blocks: Statistics) -> bytes:
    """The blocks of one column as bytes: 20 for the header, 50 for each block, checksummed.

    Every block but the last must hold 256 values, since only the column's count is stored.
    """
    body = b"".join(
        (
            blocks.first_step.astype("<i8").tobytes(),
            blocks.last_step.astype("<i8").tobytes(),
            blocks.min.astype("<f8").tobytes(),
            blocks.max.astype("<f8").tobytes(),
            blocks.sum.astype("<f8").tobytes(),
            blocks.last.astype("<f8").tobytes(),
            blocks.nan_count.astype("<u2").tobytes(),
        )
    )
    return _HEADER.pack(_MAGIC, _VERSION, 0, zlib.crc32(body), int(blocks.count.sum())) + body


def unpack_blocks(data: bytes) -> Statistics:
    """The blocks packed by `pack_blocks`. Raises DamagedRecord, SchemaTooNew."""
    if len(data) < _HEADER.size or data[:4] != _MAGIC:
        raise _damaged()
    _, version, _, crc, count = _HEADER.unpack_from(data)
    if version > _VERSION:
        raise SchemaTooNew(f"Block statistics have format version {version}.", hint="Upgrade weighbridge.")
    length = -(-count // BLOCK_VALUES)
    body = memoryview(data)[_HEADER.size :]
    if len(body) != length * _BYTES_PER_BLOCK or zlib.crc32(body) != crc:
        raise _damaged()
    wide = [body[k * 8 * length : (k + 1) * 8 * length] for k in range(6)]
    first, last = (np.frombuffer(part, dtype="<i8") for part in wide[:2])
    low, high, total, final = (np.frombuffer(part, dtype="<f8") for part in wide[2:])
    nan_count = np.frombuffer(body[48 * length :], dtype="<u2").astype(np.int64)
    counts = np.full(length, BLOCK_VALUES, np.int64)
    if length:
        counts[-1] = count - (length - 1) * BLOCK_VALUES
    return Statistics(first, last, counts, nan_count, low, high, total, final)


def _damaged() -> DamagedRecord:
    return DamagedRecord(
        "The block statistics of a history segment are damaged.", hint="Fold or import the segment again."
    )


_NO_INTS = np.empty(0, np.int64)
_NO_FLOATS = np.empty(0, np.float64)
_EMPTY = Statistics(_NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS)
