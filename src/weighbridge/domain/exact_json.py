"""JSON that keeps every float: NaN and the infinities survive a round trip.

One job: text <-> plain values <-> frozen records. It must not know any particular record.

JSON has no NaN (RFC 8259, section 6). A float that is not finite is written as the object
`{"$float": "nan"}`, `{"$float": "inf"}` or `{"$float": "-inf"}`; a string "NaN" stays a string, so a
reader can never take one for the other. Finite numbers are written as JSON numbers.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from math import isfinite
from typing import TypeVar, get_args, get_origin, get_type_hints

import msgspec

from weighbridge.errors import InvalidInput

Record = TypeVar("Record", bound=msgspec.Struct)

MAX_DEPTH = 64
"""Deepest nesting that is written or read."""

_TAG = "$float"
_LEAVES = frozenset({str, int, bool, type(None)})
_TEXT = frozenset({str})
_NON_FINITE_BYTES = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""A NaN or an infinity in MessagePack; text may match by chance, which costs time and nothing else."""
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode_exact(record: msgspec.Struct, *, indent: int | None = None) -> str:
    """The record as JSON text. Raises InvalidInput for a value JSON cannot hold, or deeper than MAX_DEPTH."""
    try:
        if indent is None:
            return _encode_fields(record)
        return json.dumps(to_plain(record), ensure_ascii=False, allow_nan=False, indent=indent)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{type(record).__name__} cannot be written as JSON: {error}.",
            hint="Keep only numbers, text, booleans, lists and mappings in it.",
        ) from error


def _encode_fields(record: msgspec.Struct) -> str:
    """The record field by field. What holds only numbers and text by its type, and no NaN or infinity, is written by
    msgspec in one go: a report is 10,000 metric results and little else.
    """
    hints = get_type_hints(type(record))
    parts = []
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if _is_closed(hints[field.name]) and _NON_FINITE_BYTES.search(msgspec.msgpack.encode(value)) is None:
            text = msgspec.json.encode(value).decode()
        else:
            text = json.dumps(_tag(msgspec.to_builtins(value), 1), ensure_ascii=False, allow_nan=False)
        parts.append(f"{json.dumps(field.encode_name)}:{text}")
    return f"{{{','.join(parts)}}}"


@cache
def _is_closed(kind: object) -> bool:
    """Whether values of a type hold nothing but scalars, text and records of such, so that their depth is known."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return all(_is_closed(hint) for hint in get_type_hints(kind).values())
    if inner := get_args(kind):
        return all(part is Ellipsis or _is_closed(part) for part in inner) and get_origin(kind) is not dict
    return kind is type(None) or (isinstance(kind, type) and issubclass(kind, (bool, int, float, str)))


def decode_exact(text: str | bytes, kind: type[Record]) -> Record:
    """The record that `encode_exact` wrote. Raises InvalidInput when the text is not one."""
    try:
        return msgspec.convert(_untag(json.loads(text), 0), kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise InvalidInput(
            f"This is not a {kind.__name__} in JSON: {error}.",
            hint="Pass the text that to_json() wrote, whole and unchanged.",
        ) from error


def to_plain(record: msgspec.Struct) -> object:
    """The record as dicts, lists and scalars that any JSON encoder takes. Raises ValueError when too deep."""
    return _tag(msgspec.to_builtins(record), 0)


def from_plain(plain: object, kind: type[Record]) -> Record:
    """The record that `to_plain` took apart. Raises InvalidInput when it is not one."""
    try:
        return msgspec.convert(_untag(plain, 0), kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise InvalidInput(
            f"This is not a {kind.__name__}: {error}.", hint="Pass it whole and unchanged."
        ) from error


def _tag(value: object, depth: int) -> object:
    """The value with what JSON lacks marked, in place: `to_builtins` has made every container just now.

    A report has a leaf for every few bytes, so the usual ones are passed without a call and nothing is copied.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if not _TEXT.issuperset(map(type, value)):
            value = {str(key): item for key, item in value.items()}
        for key, item in value.items():
            if (kind := type(item)) not in _LEAVES and not (kind is float and isfinite(item)):
                value[key] = _tag(item, depth + 1)
        return value
    if isinstance(value, list | tuple):
        return [item if type(item) in _LEAVES else _tag(item, depth + 1) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return {_TAG: "nan" if value != value else "inf" if value > 0 else "-inf"}
    return value


def _untag(value: object, depth: int) -> object:
    if depth > MAX_DEPTH + 1:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(text := value.get(_TAG), str) and text in _NON_FINITE:
            return _NON_FINITE[text]
        return {key: _untag(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_untag(item, depth + 1) for item in value]
    return value
