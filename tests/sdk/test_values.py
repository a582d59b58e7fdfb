"""What users hand in: turned into plain data whole, or refused with the key's name; never dropped, never a crash."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import InvalidInput, InvalidName
from weighbridge.sdk.values import DEPTH_MAX, LIST_MAX, metric_row, plain

SURROGATE = "bad \ud800 text"


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Options:
    lr: float
    path: Path


def ring_of_dicts() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["self"] = ring
    return ring


def ring_of_lists() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def ring_of_namespaces() -> SimpleNamespace:
    ring = SimpleNamespace()
    ring.self = ring
    return ring


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "cannot be stored"),
        (1j, "cannot be stored"),
        (decimal.Decimal("0.1"), "cannot be stored"),
        ((number for number in range(3)), "cannot be stored"),
        (2**64, "65 bits"),
        (-(2**63) - 1, "64 bits"),
        (SURROGATE, "not valid Unicode"),
        ([SURROGATE], "not valid Unicode"),
        ({SURROGATE: 1}, "not valid Unicode"),
        (Path(SURROGATE), "not valid Unicode"),
        ({(1, 2): 3}, "key of type tuple"),
        (ring_of_dicts(), "nested more than"),
        (ring_of_lists(), "nested more than"),
        (ring_of_namespaces(), "nested more than"),
        (list(range(LIST_MAX + 1)), "100,001 items"),
        (numpy.zeros(LIST_MAX + 1), "100,001 items"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(value: object, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        plain({"key": value}, "config")
    assert "config.key" in caught.value.message
    assert caught.value.hint


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"leaf": 1}
    for _ in range(depth):
        value = {"inner": value}
    return value


def test_nesting_is_bounded_and_the_bound_itself_is_fine() -> None:
    with pytest.raises(InvalidInput, match="nested more than"):
        plain(nested(DEPTH_MAX + 1), "config")
    assert plain(nested(DEPTH_MAX), "config") == nested(DEPTH_MAX)
    with pytest.raises(InvalidInput, match="nested more than"):
        metric_row(nested(40))
    with pytest.raises(InvalidInput, match="nested more than"):
        metric_row(ring_of_dicts())
    assert metric_row(nested(DEPTH_MAX)) == nested(DEPTH_MAX)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (numpy.float32(0.5), 0.5),
        (numpy.float64(0.5), 0.5),
        (numpy.longdouble(0.5), 0.5),
        (numpy.float16(0.5), 0.5),
        (numpy.int64(3), 3),
        (numpy.uint64(2**64 - 1), 2**64 - 1),
        (numpy.bool_(True), True),
        (numpy.str_("text"), "text"),
        (numpy.array(2.0), 2.0),
        (numpy.array([1, 2]), [1, 2]),
        (Color.RED, "red"),
        (Level.LOW, 1),
        (Path("a/b"), "a/b"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        (datetime.date(2026, 5, 3), "2026-05-03"),
        (datetime.timedelta(seconds=90), 90.0),
        (Options(0.1, Path("p")), {"lr": 0.1, "path": "p"}),
        (SimpleNamespace(a=1), {"a": 1}),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        ({2: "two", None: "none", True: "yes"}, {"2": "two", "None": "none", "True": "yes"}),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (numpy.float32, "numpy.float32"),
        ("", ""),
        ("emoji \U0001f600", "emoji \U0001f600"),
    ],
)
def test_common_objects_become_plain(value: object, wanted: object) -> None:
    turned = plain(value, "config")
    assert turned == wanted
    assert type(turned) is type(wanted)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(turned)) == turned


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, numpy.float32("nan"), numpy.float64("inf")])
def test_nan_and_infinities_are_kept(value: float) -> None:
    turned = plain(value, "config")
    assert type(turned) is float
    assert turned == float(value) or (math.isnan(turned) and math.isnan(value))
    assert str(metric_row({"x": value})["x"]) == str(float(value))


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=5) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@given(anything)
def test_everything_is_either_storable_or_refused(value: Any) -> None:
    try:
        turned = plain(value, "config")
    except InvalidInput:
        return
    msgspec.msgpack.encode(turned)


@given(st.dictionaries(st.text(st.characters(), max_size=8), st.floats() | st.integers(-5, 5), max_size=5))
def test_every_metric_name_is_storable_or_refused(row: dict[str, float]) -> None:
    try:
        stored = metric_row(row)
    except InvalidName:
        assert any(not name or "\0" in name or not is_unicode(name) for name in row)
        return
    assert list(stored) == list(row)
    msgspec.msgpack.encode(stored)


def is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(10.0),
        numpy.array([numpy.nan, numpy.inf, 1.0]),
        numpy.array([], dtype=float),
        numpy.full(5, numpy.nan),
        numpy.array([True, False, True]),
        numpy.array([1e308, -1e308]),
        numpy.array([2**63 - 1, -(2**63)]),
        numpy.ones((3, 4, 5), dtype="float16"),
    ],
)
def test_arrays_become_histograms_of_their_finite_values(array: Any) -> None:
    stored = metric_row({"w": array})["w"]
    assert stored["_type"] == "histogram"
    assert len(stored["bins"]) == len(stored["values"]) + 1
    finite = array[numpy.isfinite(array)].size
    assert sum(stored["values"]) == finite
    assert all(math.isfinite(edge) for edge in stored["bins"])


def test_an_array_of_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no histogram"):
        metric_row({"w": numpy.array(["a", "b"])})
