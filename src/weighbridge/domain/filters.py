"""The filter and order language of runs, read into a small tree: Mongo's operators over a run's fields.

Pure: it knows neither SQL nor stored runs. docs/reference/filters.md is its reference for users.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from weighbridge.errors import InvalidFilter

DEPTH_MAX: Final = 16
NODES_MAX: Final = 256
LIST_MAX: Final = 1_000
REGEX_MAX: Final = 256
TEXT_MAX: Final = 512
"""Longest text a filter compares with; longer values of config and summary are not indexed."""
KEY_MAX: Final = 2_000

Scalar = str | float | int | bool | None


class Kind(enum.StrEnum):
    """What a column of a run holds."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"


class Column(msgspec.Struct, frozen=True):
    """A field every run has, by its snake-case name."""

    name: str
    kind: Kind


class Value(msgspec.Struct, frozen=True):
    """A config (`c`) or summary (`s`) value. `keys`: where it may stand, dotted, likeliest first."""

    scope: str
    keys: tuple[str, ...]


class Tags(msgspec.Struct, frozen=True):
    """The run's tags, a list of text."""


Field = Column | Value | Tags


class Op(enum.StrEnum):
    """What is asked of a field. Comparisons match only values of the operand's own kind, as in Mongo."""

    EQ = "$eq"
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"
    IN = "$in"
    EXISTS = "$exists"
    REGEX = "$regex"
    CONTAINS = "$contains"
    SIZE = "$size"
    ALL = "$all"


class Compare(msgspec.Struct, frozen=True):
    """One field, one operator, its operand: a tuple for $in and $all, a scalar else."""

    field: Field
    op: Op
    operand: Scalar | tuple[Scalar, ...]


class And(msgspec.Struct, frozen=True):
    """Every part holds; true without parts."""

    parts: tuple[Filter, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one part holds."""

    parts: tuple[Filter, ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not hold, missing values included."""

    part: Filter


Filter = Compare | And | Or | Not


class Order(msgspec.Struct, frozen=True):
    """What runs are sorted by. Runs without the value come last both ways."""

    field: Column | Value
    is_descending: bool = False


_COLUMNS: Final = {
    "state": Kind.TEXT,
    "name": Kind.TEXT,  # The run id, as in W&B.
    "display_name": Kind.TEXT,
    "username": Kind.TEXT,
    "group": Kind.TEXT,
    "job_type": Kind.TEXT,
    "notes": Kind.TEXT,
    "created_at": Kind.TIME,
    "updated_at": Kind.TIME,
    "heartbeat_at": Kind.TIME,
    "finished_at": Kind.TIME,
    "exit_code": Kind.NUMBER,
    "row_count": Kind.NUMBER,
    "last_step": Kind.NUMBER,
}
_SYNONYMS: Final = {
    "user": "username",
    "user.username": "username",
    "user_name": "username",
    "run_id": "name",
}
_SCOPES: Final = {"config": "c", "summary": "s", "summary_metrics": "s"}
_TEXT_OPS: Final = frozenset({"$regex", "$contains"})
_NEGATED: Final = {"$ne": "$eq", "$nin": "$in"}
_FIELD_OPS: Final = frozenset({op.value for op in Op} | set(_NEGATED) | {"$not"})
_LOGIC_OPS: Final = frozenset({"$and", "$or", "$nor", "$not"})
# Nested quantifiers such as (a+)+ make Python's `re` take exponential time on a text that nearly matches.
_QUANTIFIED_GROUP: Final = re.compile(r"[*+?}]\)(?:[*+]|\{\d*,?\d*\})|\|[^()]*\)(?:[*+]|\{\d*,?\d*\})")


def parse_filter(filters: Mapping[str, object]) -> Filter | None:
    """The tree of a filter, or None for `{}`, which matches all. Raises InvalidFilter naming the bad part."""
    if not isinstance(filters, Mapping):
        raise _invalid("A filter", "is not a mapping", hint='Write {"state": "finished"}.', path="")
    if not filters:
        return None
    return _Parser().clause(filters, "", 1)


def parse_order(order: str) -> Order:
    """The order of `[+-]field`. Raises InvalidFilter."""
    if not order.lstrip("+-"):
        raise _invalid("An order", "is empty or not text", hint="Write -summary.accuracy.", path="")
    name = order[1:] if order[0] in "+-" else order
    field = _field(name, name)
    if isinstance(field, Tags):
        raise _invalid(
            f"Order {order!r}", "sorts by a list", hint="Sort by a single-valued field.", path=name
        )
    return Order(field, order[0] == "-")


def _invalid(what: str, problem: str, *, hint: str, path: str) -> InvalidFilter:
    return InvalidFilter(f"{what} {problem}.", hint=hint, details={"path": path})


def _at(path: str) -> str:
    return f"Filter at {path[:200]}" if path else "The filter"


class _Parser:
    """Counts nodes while it reads."""

    def __init__(self) -> None:
        self._nodes = 0

    def clause(self, clause: object, path: str, depth: int) -> Filter:
        """A mapping of fields and logical operators, all of which must hold."""
        if not isinstance(clause, Mapping):
            raise _invalid(
                _at(path),
                f"is {type(clause).__name__}, not a mapping",
                hint="Write {field: value}.",
                path=path,
            )
        self._descend(path, depth)
        parts: list[Filter] = []
        for key, value in clause.items():
            if not isinstance(key, str):
                raise _invalid(_at(path), f"has the key {key!r}, not text", hint="Name a field.", path=path)
            here = f"{path}.{key}" if path else key
            if key.startswith("$"):
                parts.append(self._logic(key, value, here, depth))
            else:
                parts.append(self._conditions(_field(key, here), value, here, depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _descend(self, path: str, depth: int) -> None:
        self._nodes += 1
        if depth > DEPTH_MAX:
            raise _invalid(_at(path), f"is nested deeper than {DEPTH_MAX}", hint="Flatten it.", path=path)
        if self._nodes > NODES_MAX:
            raise _invalid(
                _at(path), f"is beyond the {NODES_MAX} parts a filter may have", hint="Use $in.", path=path
            )

    def _logic(self, op: str, value: object, path: str, depth: int) -> Filter:
        if op not in _LOGIC_OPS:
            raise _unknown_operator(op, path, _LOGIC_OPS)
        if op == "$not":
            return Not(self.clause(value, path, depth + 1))
        if not isinstance(value, list | tuple) or (op != "$and" and not value):
            raise _invalid(_at(path), "needs a list of filters", hint=f"Write {{{op!r}: [...]}}.", path=path)
        parts = tuple(self.clause(part, f"{path}[{n}]", depth + 1) for n, part in enumerate(value))
        if op == "$and":
            return And(parts)
        return Or(parts) if op == "$or" else Not(Or(parts))

    def _conditions(self, field: Field, value: object, path: str, depth: int) -> Filter:
        """What one field is asked: a bare value for equality, or a mapping of operators."""
        self._descend(path, depth)
        if not isinstance(value, Mapping):
            return _compare(field, "$eq", value, path)
        parts: list[Filter] = []
        for op, operand in value.items():
            here = f"{path}.{op}"
            if op not in _FIELD_OPS:
                raise _unknown_operator(op, here, _FIELD_OPS)
            if op == "$not":
                parts.append(Not(self._conditions(field, operand, here, depth + 1)))
            elif op in _NEGATED:
                parts.append(Not(_compare(field, _NEGATED[op], operand, here)))
            else:
                parts.append(_compare(field, op, operand, here))
            self._nodes += 1
        if not parts:
            raise _invalid(_at(path), "asks nothing", hint="Write a value or {operator: value}.", path=path)
        return parts[0] if len(parts) == 1 else And(tuple(parts))


def _unknown_operator(op: object, path: str, known: frozenset[str]) -> InvalidFilter:
    near = difflib.get_close_matches(str(op)[:80], sorted(known), n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(sorted(known))}."
    return _invalid(_at(path), f"uses the unknown operator {str(op)[:80]!r}", hint=hint, path=path)


def _field(name: str, path: str) -> Field:
    """The field a name means: snake or camel case, values by `config.`, `summary.`, `summary_metrics.`."""
    if len(name) > KEY_MAX:
        raise _invalid(_at(path), f"names a field of {len(name):,} characters", hint="Shorten it.", path=path)
    head, dot, key = name.partition(".")
    scope = _SCOPES.get(_snake(head))
    if scope is not None and dot and key:
        return Value(scope, _keys(key, scope))
    plain = _snake(name)
    plain = _SYNONYMS.get(plain, plain)
    if plain in _COLUMNS:
        return Column(plain, _COLUMNS[plain])
    if plain in {"tags", "tag"}:
        return Tags()
    known = [*_COLUMNS, "tags", "config.<key>", "summary_metrics.<key>"]
    near = difflib.get_close_matches(plain[:80], known, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
    raise _invalid(_at(path), f"names the unknown field {name[:80]!r}", hint=hint, path=path)


def _keys(key: str, scope: str) -> tuple[str, ...]:
    """W&B writes config values as `key.value`; a nested key may truly end so, hence both."""
    if scope == "c" and key.endswith(".value") and key != ".value":
        return (key.removesuffix(".value"), key)
    if scope == "c" and ".value." in key:
        return (key.replace(".value.", ".", 1), key)
    return (key,)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _compare(field: Field, op: str, operand: object, path: str) -> Filter:
    kind = Op(op)
    if kind is Op.EXISTS:
        if not isinstance(operand, bool):
            raise _invalid(_at(path), "needs true or false", hint="Write {'$exists': True}.", path=path)
        found = Compare(field, Op.EXISTS, True)
        return found if operand else Not(found)
    if kind in (Op.IN, Op.ALL):
        return Compare(field, _list_op(field, kind, path), _operands(field, operand, path))
    if kind is Op.SIZE:
        _require_tags(field, op, path)
        if isinstance(operand, bool) or not isinstance(operand, int) or operand < 0:
            raise _invalid(_at(path), "needs a whole number", hint="Write {'$size': 2}.", path=path)
        return Compare(field, Op.SIZE, operand)
    if op in _TEXT_OPS:
        return Compare(field, kind, _text_operand(field, kind, operand, path))
    if isinstance(field, Tags) and kind is not Op.EQ:
        raise _invalid(_at(path), "orders a list", hint="Use $in, $all, $size or $contains.", path=path)
    if isinstance(field, Tags) and isinstance(operand, list | tuple):
        return And(
            (
                Compare(field, Op.ALL, _operands(field, operand, path)),
                Compare(field, Op.SIZE, len(set(operand))),
            )
        )
    return Compare(field, kind, _operand(field, operand, path, is_equality=kind is Op.EQ))


def _list_op(field: Field, op: Op, path: str) -> Op:
    if op is Op.ALL:
        _require_tags(field, op, path)
    return op


def _require_tags(field: Field, op: str, path: str) -> None:
    if not isinstance(field, Tags):
        raise _invalid(
            _at(path), f"asks {op} of a field that is no list", hint="Only tags is a list.", path=path
        )


def _operands(field: Field, operand: object, path: str) -> tuple[Scalar, ...]:
    if not isinstance(operand, list | tuple):
        raise _invalid(_at(path), "needs a list", hint="Write [value, ...].", path=path)
    if len(operand) > LIST_MAX:
        raise _invalid(
            _at(path), f"lists {len(operand):,} values; at most {LIST_MAX:,}", hint="Split it.", path=path
        )
    return tuple(_operand(field, value, f"{path}[{n}]") for n, value in enumerate(operand))


def _text_operand(field: Field, op: Op, operand: object, path: str) -> str:
    limit = REGEX_MAX if op is Op.REGEX else TEXT_MAX
    if not isinstance(operand, str) or len(operand) > limit or "\x00" in operand:
        raise _invalid(
            _at(path), "needs text", hint=f"Pass at most {limit} characters without NUL.", path=path
        )
    if isinstance(field, Column) and field.kind is not Kind.TEXT:
        raise _invalid(_at(path), f"asks {op} of {field.name}, a number", hint="Use $gte and $lt.", path=path)
    if op is Op.REGEX:
        _check_regex(operand, path)
    return operand


def _check_regex(pattern: str, path: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _invalid(
            _at(path), f"has an unreadable pattern: {error}", hint="Check it.", path=path
        ) from error
    if _QUANTIFIED_GROUP.search(pattern):
        raise _invalid(
            _at(path),
            "repeats a group that itself repeats or branches, which can take exponential time",
            hint="Rewrite (a+)+ as a+ and (a|b)* as [ab]*.",
            path=path,
        )


def _operand(field: Field, value: object, path: str, *, is_equality: bool = True) -> Scalar:
    if isinstance(value, str):
        if len(value) > TEXT_MAX and not isinstance(field, Column):
            raise _invalid(
                _at(path), f"compares with text over {TEXT_MAX} characters", hint="Shorten it.", path=path
            )
        if isinstance(field, Column) and field.kind is Kind.TIME:
            return _time(value, path)
        if isinstance(field, Column) and field.kind is Kind.NUMBER:
            raise _invalid(_at(path), f"compares {field.name} with text", hint="Pass a number.", path=path)
        return value
    if value is None:
        if not is_equality:
            raise _invalid(_at(path), "orders by null", hint="Use $exists.", path=path)
        return None
    if isinstance(value, bool | int | float):
        return _number(field, value, path)
    raise _invalid(
        _at(path),
        f"compares with {type(value).__name__}",
        hint="Pass text, a number, a boolean or null.",
        path=path,
    )


def _number(field: Field, value: bool | int | float, path: str) -> Scalar:
    if value != value:
        raise _invalid(_at(path), "compares with NaN, which equals nothing", hint="Use $exists.", path=path)
    if isinstance(field, Tags) or (isinstance(field, Column) and field.kind is Kind.TEXT):
        raise _invalid(_at(path), "compares text with a number", hint="Put it into quotes.", path=path)
    try:
        return float(value)
    except OverflowError as error:
        raise _invalid(
            _at(path), "compares with too large a number", hint="Use a float.", path=path
        ) from error


def _time(text: str, path: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(
            _at(path), f"has the unreadable time {text[:40]!r}", hint="Write 2024-05-03T12:00:00Z.", path=path
        ) from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
