"""Write the few shapes of the Thrift compact protocol that a Parquet footer needs. It must not read any.

Format: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_TRUE, _FALSE, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 4, 5, 6, 8, 9, 12
_SHORT_LIST = 15


class Value(NamedTuple):
    """One encoded value with the type code its field header needs."""

    code: int
    payload: bytes


def varint(value: int) -> bytes:
    """An unsigned LEB128 integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def i16(value: int) -> Value:
    """A 16-bit integer."""
    return Value(_I16, _zigzag(value))


def i32(value: int) -> Value:
    """A 32-bit integer, or the value of an enumeration."""
    return Value(_I32, _zigzag(value))


def i64(value: int) -> Value:
    """A 64-bit integer."""
    return Value(_I64, _zigzag(value))


def boolean(value: bool) -> Value:
    """A boolean field: its value lies in the field header, so it cannot be an element of a list."""
    return Value(_TRUE if value else _FALSE, b"")


def binary(value: bytes) -> Value:
    """Bytes behind their length."""
    return Value(_BINARY, varint(len(value)) + value)


def text(value: str) -> Value:
    """A string as UTF-8."""
    return binary(value.encode())


def listing(items: Sequence[Value]) -> Value:
    """A list of one or more values of one type."""
    code = items[0].code
    if len(items) < _SHORT_LIST:
        head = bytes([len(items) << 4 | code])
    else:
        head = bytes([0xF0 | code]) + varint(len(items))
    return Value(_LIST, head + b"".join([item.payload for item in items]))


def structure(fields: Sequence[tuple[int, Value | None]]) -> Value:
    """A struct of (field id, value) in rising order of id, less than 16 apart; None leaves a field out."""
    out: list[bytes] = []
    previous = 0
    for number, value in fields:
        if value is not None:
            out.append(bytes([(number - previous) << 4 | value.code]))
            out.append(value.payload)
            previous = number
    out.append(b"\x00")
    return Value(_STRUCT, b"".join(out))
