"""Columns in memory: NumPy arrays of one kind, how kinds promote, how values become Parquet's PLAIN bytes.

It must not know files, segments or chunks' layouts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from weighbridge.domain.chunk import Kind
from weighbridge.errors import DamagedRecord

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Objects: TypeAlias = NDArray[np.object_]
Values: TypeAlias = Floats | Ints | Bools | Objects

_EXACT = 2**53


class ColumnValues(msgspec.Struct, frozen=True):
    """Values of one kind in row order; `rows` holds their rising row numbers, None where every row has one.

    `values` is float64, int64, bool, or objects for the kinds `s` and `j`.
    """

    kind: Kind
    rows: Ints | None
    values: Values


def object_array(values: Sequence[object]) -> Objects:
    """The values as a flat array, lists among them kept as they are."""
    return np.fromiter(values, dtype=np.object_, count=len(values))


def array_of(kind: Kind, values: object) -> Values:
    """A chunk's values (array, or list) as NumPy sees them, without a copy where they are numbers."""
    if kind == "f":
        return np.frombuffer(values, dtype=np.float64)  # type: ignore[call-overload, no-any-return]  # an array
    if kind == "i":
        return np.frombuffer(values, dtype=np.int64)  # type: ignore[call-overload, no-any-return]  # an array
    if kind == "b":
        return np.array(values, dtype=np.bool_)
    assert isinstance(values, list)
    return object_array(values)


def empty_values(kind: Kind) -> Values:
    """No values of the kind."""
    dtypes = {"f": np.float64, "i": np.int64, "b": np.bool_}
    return np.empty(0, dtype=dtypes.get(kind, np.object_))


def unified(pieces: Sequence[tuple[Kind, Values]]) -> tuple[Kind, Values]:
    """The pieces as one column: ints join floats where each is exactly a float64; any other mix is `j`."""
    kinds = {kind for kind, _ in pieces}
    if len(kinds) == 1:
        kind = kinds.pop()
    elif kinds == {"f", "i"} and all(is_exact(values) for kind, values in pieces if kind == "i"):
        kind = "f"
        pieces = [(kind, values.astype(np.float64)) for _, values in pieces]
    else:
        kind = "j"
        pieces = [(kind, object_array(values.tolist())) for _, values in pieces]
    if len(pieces) == 1:
        return kind, pieces[0][1]
    return kind, np.concatenate([values for _, values in pieces])


def is_exact(values: Values) -> bool:
    """Whether each of these int64 is exactly a float64."""
    if not len(values) or (values.min() >= -_EXACT and values.max() <= _EXACT):
        return True
    return all(int(float(value)) == value for value in values.tolist())


def numbers(values: Values) -> tuple[Floats, Bools | None]:
    """The values as float64, with a mask of those that are numbers; None means all are."""
    if values.dtype != np.object_:
        return values.astype(np.float64, copy=False), None
    listed = values.tolist()
    mask = np.fromiter((type(value) in (int, float, bool) for value in listed), np.bool_, count=len(listed))
    return np.array([_as_float(value) for value in values[mask].tolist()], dtype=np.float64), mask


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def plain_bytes(kind: Kind, values: Values) -> bytes:
    """Parquet's PLAIN encoding of the values of one page."""
    if kind == "f":
        return values.astype("<f8", copy=False).tobytes()
    if kind == "i":
        return values.astype("<i8", copy=False).tobytes()
    if kind == "b":
        return np.packbits(values.astype(np.bool_, copy=False), bitorder="little").tobytes()
    out: list[bytes] = []
    for text in _texts(kind, values.tolist()):
        data = text.encode()
        out.append(len(data).to_bytes(4, "little"))
        out.append(data)
    return b"".join(out)


def values_from_plain(kind: Kind, raw: memoryview, count: int) -> Values:
    """The values of one page. Raises DamagedRecord where the bytes do not hold `count` of them."""
    if kind in ("f", "i"):
        if len(raw) != 8 * count:
            raise damaged("a page has a wrong length")
        return np.frombuffer(raw, dtype="<f8" if kind == "f" else "<i8")
    if kind == "b":
        if len(raw) != (count + 7) // 8:
            raise damaged("a page has a wrong length")
        bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=count, bitorder="little")
        return bits.view(np.bool_)
    texts: list[object] = []
    position = 0
    for _ in range(count):
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        texts.append(str(raw[position + 4 : end], "utf-8"))
        position = end
    if position != len(raw):
        raise damaged("a page has a wrong length")
    return object_array(texts if kind == "s" else [json.loads(str(text)) for text in texts])


def damaged(what: str) -> DamagedRecord:
    """The error for a segment whose bytes are not what was written."""
    return DamagedRecord(
        f"A history segment is damaged: {what}.", hint="Restore the store from a backup, or export the rest."
    )


def _texts(kind: Kind, values: Iterable[object]) -> Iterable[str]:
    if kind == "s":
        return map(str, values)
    return map(_json_text, values)


def _json_text(value: object) -> str:
    """JSON with NaN and infinities as bare tokens, which is how W&B writes them too."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_default)
    except TypeError:
        return json.dumps(
            _with_text_keys(value), ensure_ascii=False, separators=(",", ":"), default=_json_default
        )


def _json_default(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _with_text_keys(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_text_keys(item) for item in value]
    return value
