"""Turns what users hand in (NumPy and torch scalars, paths, enums, namespaces) into plain values.

Plain means None, bool, int, float, str, and lists and dicts of these. Nothing is dropped: what cannot be
turned raises InvalidInput naming the key. NumPy and torch are never imported here; their objects are known
by their methods.
"""

from __future__ import annotations

import datetime
import enum
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, SupportsFloat

from weighbridge.domain.names import check_metric_name
from weighbridge.errors import InvalidInput

PLAIN: Final = frozenset({float, int, bool, str, type(None)})
DEPTH_MAX: Final = 32
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**64 - 1
"""What MessagePack holds."""
LIST_MAX: Final = 100_000
ARRAY_BINS: Final = 64

_TURNS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (bool, bool),
    (int, int),  # subclasses too, such as IntEnum
    (float, float),  # numpy.float64 among them
    (str, str),
    (os.PathLike, os.fspath),
    (datetime.date, lambda value: value.isoformat()),
    (datetime.timedelta, lambda value: value.total_seconds()),
    (bytes, lambda value: value.decode("utf-8", "backslashreplace")),
)


def plain(value: object, where: str, *, depth: int = 0) -> Any:
    """`value` as plain data. `where` names it in errors. Raises InvalidInput."""
    kind = type(value)
    if kind is str or kind is int:
        return _storable(value, where)
    if kind in PLAIN:
        return value
    if depth > DEPTH_MAX:
        raise InvalidInput(f"{where} is nested more than {DEPTH_MAX} deep.", hint="Flatten it.")
    if isinstance(value, Mapping):
        return {
            _key(key, where): plain(item, f"{where}.{key}", depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        if len(items) > LIST_MAX:
            raise InvalidInput(
                f"{where} holds {len(items):,} items; at most {LIST_MAX:,} are stored with a run.",
                hint="Log it as a file of an artifact.",
            )
        return [plain(item, f"{where}[{index}]", depth=depth + 1) for index, item in enumerate(items)]
    return _convert(value, where, depth=depth)


def _storable(value: Any, where: str) -> Any:
    """Text or a whole number, if the format can hold it."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise InvalidInput(
                    f"{where} holds text that is not valid Unicode: {value[:80]!a}.",
                    hint="Remove the lone surrogates, or decode the bytes with errors='backslashreplace'.",
                ) from error
    elif not INT_MIN <= value <= INT_MAX:
        raise InvalidInput(
            f"{where} is a whole number of {value.bit_length()} bits; at most 64 are stored.",
            hint="Pass float(x) or str(x).",
        )
    return value


def _convert(value: object, where: str, *, depth: int) -> Any:
    """The plain form of an object that is neither plain nor a container."""
    if isinstance(value, enum.Enum):
        return plain(value.value, where, depth=depth + 1)
    for kind, turn in _TURNS:
        if isinstance(value, kind):
            return plain(turn(value), where, depth=depth + 1)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    scalar = _scalar(value)
    if scalar is not None:
        return plain(scalar, where, depth=depth + 1)
    as_list: Callable[[], object] | None = getattr(value, "tolist", None)
    if callable(as_list):
        return plain(as_list(), where, depth=depth + 1)
    if type(value).__module__.split(".")[0] in ("torch", "numpy", "jax", "tensorflow"):  # dtypes and devices
        return str(value)
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict) and type(value).__name__ in ("Namespace", "SimpleNamespace"):
        return plain(fields, where, depth=depth + 1)
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is not None:
        return plain({name: getattr(value, name) for name in names}, where, depth=depth + 1)
    raise InvalidInput(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be stored.",
        hint="Pass numbers, text, booleans, None, or lists and dicts of them.",
        details={"key": where, "type": type(value).__qualname__},
    )


def _scalar(value: object) -> object | None:
    """What `.item()` gives for an array or tensor of one element; None for anything else."""
    item = getattr(value, "item", None)
    if not callable(item):
        return None
    size = getattr(value, "size", None)
    count = size if isinstance(size, int) else getattr(value, "numel", lambda: 1)()
    if count != 1:
        return None
    result: object = item()
    if type(result) is type(value):  # NumPy's long double has no plain form of its own
        return float(result) if isinstance(result, SupportsFloat) else None
    return result


def _key(key: object, where: str) -> str:
    if isinstance(key, str):
        return str(_storable(key, f"a key of {where}"))
    if isinstance(key, int | float | bool) or key is None:
        return str(key)
    raise InvalidInput(f"{where} has a key of type {type(key).__name__}.", hint="Use text keys.")


def metric_row(data: object) -> dict[str, Any]:
    """A row for history: names checked, values plain; arrays become histograms in W&B's stored form.

    Raises InvalidInput, InvalidName.
    """
    if not isinstance(data, Mapping):
        raise InvalidInput(
            f"log() takes a dict of metrics, got {type(data).__name__}.", hint='Write log({"loss": 0.1}).'
        )
    row: dict[str, Any] = {}
    for key, value in data.items():
        name = check_metric_name(key)
        row[name] = value if type(value) in PLAIN else _metric(value, name)
    return row


def _metric(value: object, name: str, *, depth: int = 1) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Mapping):
        if depth > DEPTH_MAX:
            raise InvalidInput(f"{name[:200]} is nested more than {DEPTH_MAX} deep.", hint="Flatten it.")
        return {
            check_metric_name(key) if isinstance(key, str) else _key(key, name): item
            if type(item) in PLAIN
            else _metric(item, f"{name}.{key}", depth=depth + 1)
            for key, item in value.items()
        }
    shape = getattr(value, "shape", None)
    if shape is not None and _scalar(value) is None and callable(getattr(value, "tolist", None)):
        return _histogram(value, name)
    return plain(value, name)


def _histogram(array: object, name: str) -> dict[str, Any]:
    import numpy

    data = getattr(array, "detach", lambda: array)()
    data = getattr(data, "cpu", lambda: data)()
    values = numpy.asarray(data).ravel()
    if values.dtype.kind not in "bifu":
        raise InvalidInput(
            f"{name} is an array of {values.dtype}, which has no histogram.",
            hint="Log numbers, or a list of text.",
        )
    # In doubles, and halved twice where the whole range is larger than a double holds.
    finite = values[numpy.isfinite(values)].astype(float)
    is_wide = finite.size > 0 and finite.max() / 4 - finite.min() / 4 > numpy.finfo(float).max / 4
    counts, edges = numpy.histogram(finite / 4 if is_wide else finite, bins=ARRAY_BINS)
    if is_wide:
        edges = edges * 4
    return {"_type": "histogram", "values": counts.tolist(), "bins": edges.tolist()}
