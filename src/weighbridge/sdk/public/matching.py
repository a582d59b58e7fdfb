"""The Mongo-like filters of registries, held against objects in memory. The store filters runs, not this."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from weighbridge.errors import InvalidFilter

T = TypeVar("T")
DEPTH_MAX = 32
PATTERN_MAX = 512

Test = Callable[[object], bool]


def matcher(filters: Mapping[str, Any], value_of: Callable[[T, str], object]) -> Callable[[T], bool]:
    """Whether an object matches; `value_of(object, field)` gives a value, a tuple of them, or None.

    A tuple matches where one of its values does. Raises InvalidFilter at once, not at the first object.
    """
    return _all_of(filters, value_of, depth=0)


def _all_of(
    filters: Mapping[str, Any], value_of: Callable[[T, str], object], *, depth: int
) -> Callable[[T], bool]:
    if depth > DEPTH_MAX:
        raise InvalidFilter(f"A filter is nested more than {DEPTH_MAX} deep.", hint="Flatten it.")
    if not isinstance(filters, Mapping):
        raise InvalidFilter(f"A filter is a {type(filters).__name__}.", hint='Write {"name": "Digits"}.')
    tests = [_clause(name, wanted, value_of, depth=depth) for name, wanted in filters.items()]
    return lambda item: all(test(item) for test in tests)


def _clause(
    name: str, wanted: Any, value_of: Callable[[T, str], object], *, depth: int
) -> Callable[[T], bool]:
    if name in ("$and", "$or", "$nor"):
        if not isinstance(wanted, list | tuple):
            raise InvalidFilter(f"{name} needs a list.", hint=f'Write {{"{name}": [{{...}}, {{...}}]}}.')
        parts = [_all_of(part, value_of, depth=depth + 1) for part in wanted]
        if name == "$and":
            return lambda item: all(part(item) for part in parts)
        return lambda item: any(part(item) for part in parts) is (name == "$or")
    if name == "$not":
        inner = _all_of(wanted, value_of, depth=depth + 1)
        return lambda item: not inner(item)
    test = _condition(name, wanted, depth=depth)

    def check(item: T) -> bool:
        return test(value_of(item, name))

    return check


def _condition(field: str, wanted: Any, *, depth: int) -> Test:
    """The test of one field: a value that it must equal, or operators that must all hold."""
    is_operators = isinstance(wanted, Mapping) and all(str(key).startswith("$") for key in wanted) and wanted
    if not is_operators:
        return _any(lambda value: bool(value == wanted))
    if depth > DEPTH_MAX:
        raise InvalidFilter(f"A filter is nested more than {DEPTH_MAX} deep.", hint="Flatten it.")
    tests = [_operator(field, operator, operand, depth=depth) for operator, operand in wanted.items()]
    return lambda value: all(test(value) for test in tests)


def _operator(field: str, operator: str, operand: Any, *, depth: int) -> Test:
    if operator == "$not":
        inner = _condition(field, operand, depth=depth + 1)
        return lambda value: not inner(value)
    if operator == "$exists":
        return lambda value: (value is not None) is bool(operand)
    if operator == "$ne":
        equal = _any(lambda value: bool(value == operand))
        return lambda value: not equal(value)
    if operator in ("$in", "$nin"):
        if not isinstance(operand, list | tuple):
            raise InvalidFilter(f"{operator} of {field!r} needs a list.", hint="Write [...].")
        one_of = _any(lambda value: value in operand)
        return lambda value: one_of(value) is (operator == "$in")
    if operator == "$regex":
        pattern = _pattern(field, operand)
        return _any(lambda value: isinstance(value, str) and pattern.search(value) is not None)
    if operator == "$contains":
        return _any(lambda value: isinstance(value, str) and str(operand) in value)
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return _any(lambda value: _is_comparable(value, operand) and compare(value, operand))
    known = ", ".join((*_COMPARISONS, "$contains", "$exists", "$in", "$ne", "$nin", "$not", "$regex"))
    raise InvalidFilter(f"Operator {operator[:40]!r} of {field!r} is unknown.", hint=f"Known: {known}.")


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, operand: bool(value == operand),
    "$gt": lambda value, operand: bool(value > operand),
    "$gte": lambda value, operand: bool(value >= operand),
    "$lt": lambda value, operand: bool(value < operand),
    "$lte": lambda value, operand: bool(value <= operand),
}


def _any(test: Test) -> Test:
    """The test over a value, or over each of a tuple."""
    return lambda value: any(test(item) for item in value) if isinstance(value, tuple) else test(value)


def _is_comparable(value: object, operand: object) -> bool:
    numbers = isinstance(value, int | float) and isinstance(operand, int | float)
    return numbers or type(value) is type(operand)


def _pattern(field: str, operand: object) -> re.Pattern[str]:
    if not isinstance(operand, str) or len(operand) > PATTERN_MAX:
        raise InvalidFilter(
            f"$regex of {field!r} is not text of at most {PATTERN_MAX} characters.", hint="Shorten it."
        )
    try:
        return re.compile(operand)
    except re.error as error:
        raise InvalidFilter(
            f"$regex of {field!r} cannot be read: {error}.", hint="Escape special characters."
        ) from error
