"""Plain JSON values as the text a column holds, and back. No table knows another encoder; no rule lives here.

Text is compact JSON in which NaN and the infinities stand as the bare tokens `NaN`, `Infinity`, `-Infinity`,
as Python's `json` module writes them (RFC 8259 has no such tokens, and msgspec would write `null`).
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from weighbridge.errors import DamagedRecord, InvalidInput

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()

_NON_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""How MessagePack begins a float64 whose exponent is all ones. Other bytes may look so too, which costs time only."""


def dumps(value: object) -> str:
    """Text of a plain JSON value. Raises InvalidInput for what is not one (a cycle, an unknown type).

    msgspec writes a float that is not finite as `null`; so text without `null` is exact, as is text of a value
    without such a float. Only the rest is written again by the slower encoder that knows the tokens.
    """
    try:
        data = _ENCODER.encode(value)
        if b"null" not in data or _NON_FINITE.search(msgspec.msgpack.encode(value)) is None:
            return data.decode("ascii" if data.isascii() else "utf-8")
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # Lone surrogates, for one: the exact encoder below takes them, or says why not.
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"A value cannot be written as JSON: {error}.",
            hint="Keep to text, numbers, booleans, None, lists and dicts with text keys.",
        ) from error


def loads(text: str) -> Any:
    """The value `dumps` wrote. Raises DamagedRecord where the text is no JSON."""
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass  # NaN, Infinity and lone surrogates are refused there.
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedRecord(
            f"A stored JSON value cannot be read: {error}.",
            hint="The database was changed by hand or is damaged; run `weighbridge doctor`.",
            details={"beginning": text[:80]},
        ) from error
