"""What a JSON column keeps: every value comes back the same, NaN and infinities included."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import DamagedRecord, InvalidInput
from weighbridge.storage.metadata.jsontext import dumps, loads

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
)


def same(left: object, right: object) -> bool:
    """Equality that takes NaN for equal and tells 1 from 1.0 and True, and 0.0 from -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.parametrize("value", [object(), {"a": {1, object()}}, [b"\xff", object()]])
def test_refuses_what_is_not_json(value: object) -> None:
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        dumps(value)


def test_refuses_a_cycle() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidInput):
        dumps(value)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "nan", "{'a': 1}"])
def test_names_damaged_text(text: str) -> None:
    with pytest.raises(DamagedRecord, match="cannot be read"):
        loads(text)


def test_writes_tokens_not_null() -> None:
    assert dumps([math.nan, math.inf, -math.inf, None]) == "[NaN,Infinity,-Infinity,null]"


def test_a_text_that_says_null_or_nan_stays_a_text() -> None:
    assert loads(dumps(["null", "NaN", math.nan]))[:2] == ["null", "NaN"]


@given(VALUES)
def test_every_value_comes_back_the_same(value: object) -> None:
    text = dumps(value)
    assert same(loads(text), value)
    assert same(json.loads(text), value)
    text.encode("utf-8")
