"""Filters of runs as SQL conditions on `runs`. It runs no statement; plans and pages are in run_query.py."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.sql.selectable import FromClause

from weighbridge.domain.filters import And, Column, Compare, Filter, Not, Op, Or, Tags, Value
from weighbridge.storage.metadata.tables import run_tags, run_values, runs

Condition = ColumnElement[bool]

# The same table in two roles, so that none is taken for another inside a subquery.
_tested = run_values.alias("tested")
_driving = run_values.alias("driving")
_driving_runs = runs.alias("driving_runs")

_NAMES: Final = {"name": "run_id", "username": "user_name", "group": "group_name"}
"""Columns whose name differs from the field's."""

_INDEXED: Final = frozenset({"state", "name", "created_at", "heartbeat_at"})


def column_of(field: Column, table: FromClause) -> ColumnElement[Any]:
    """The column of `runs`, or of an alias of it, that a field names."""
    return table.c[_NAMES.get(field.name, field.name)]


def is_nullable(field: Column) -> bool:
    """Whether a run may lack the field."""
    return bool(runs.c[_NAMES.get(field.name, field.name)].nullable)


def _compared(column: ColumnElement[Any], op: Op, operand: object) -> Condition:
    """A comparison that is never null where the column is not."""
    if op is Op.GT:
        return column > operand
    if op is Op.GTE:
        return column >= operand
    if op is Op.LT:
        return column < operand
    if op is Op.LTE:
        return column <= operand
    if op is Op.REGEX:
        return column.regexp_match(str(operand))
    if op is Op.CONTAINS:
        return func.instr(column, literal(operand, String)) > 0
    return column == operand


def _on_column(field: Column, compare: Compare, table: FromClause) -> Condition:
    column = column_of(field, table)
    if compare.op is Op.EXISTS:
        return column.is_not(None)
    operands = compare.operand if isinstance(compare.operand, tuple) else (compare.operand,)
    if compare.op in (Op.EQ, Op.IN):
        found: list[Condition] = [column.is_(None)] if None in operands else []
        values = [operand for operand in operands if operand is not None]
        if values:
            found.append(column == values[0] if len(values) == 1 else column.in_(values))
        condition = or_(false(), *found)
    else:
        condition = _compared(column, compare.op, compare.operand)
    return func.coalesce(condition, false()) if is_nullable(field) else condition


def _on_tags(compare: Compare) -> Condition:
    of_run = run_tags.c.run_pk == runs.c.run_pk
    if compare.op is Op.EXISTS:
        return exists().where(of_run)
    if compare.op is Op.SIZE:
        size = select(func.count()).select_from(run_tags).where(of_run).scalar_subquery()
        return size == compare.operand
    if compare.op is Op.REGEX:
        return exists().where(of_run, _compared(run_tags.c.tag, Op.REGEX, compare.operand))
    operands = compare.operand if isinstance(compare.operand, tuple) else (compare.operand,)
    found = [
        exists().where(of_run, run_tags.c.tag == tag)
        if tag is not None
        else not_(exists().where(run_tags.c.run_pk == runs.c.run_pk))
        for tag in operands
    ]
    return and_(true(), *found) if compare.op is Op.ALL else or_(false(), *found)


def value_matches(compare: Compare, table: FromClause) -> list[Condition]:
    """Conditions on a row of values, any of which is a match. Numbers and text never meet."""
    if compare.op is Op.EXISTS:
        return [true()]
    operands = compare.operand if isinstance(compare.operand, tuple) else (compare.operand,)
    texts = [operand for operand in operands if isinstance(operand, str)]
    numbers = [operand for operand in operands if isinstance(operand, float)]
    if compare.op not in (Op.EQ, Op.IN):
        column = table.c.text if texts else table.c.num
        return [_compared(column, compare.op, compare.operand)]
    found: list[Condition] = []
    for column, values in ((table.c.text, texts), (table.c.num, numbers)):
        if values:
            found.append(column == values[0] if len(values) == 1 else column.in_(values))
    return found


def _key_is(table: FromClause, keys: tuple[str, ...]) -> Condition:
    return table.c.key == keys[0] if len(keys) == 1 else table.c.key.in_(keys)


def _of_run(field: Value) -> Condition:
    return and_(
        _tested.c.run_pk == runs.c.run_pk, _tested.c.scope == field.scope, _key_is(_tested, field.keys)
    )


def _on_value(field: Value, compare: Compare) -> Condition:
    operands = compare.operand if isinstance(compare.operand, tuple) else (compare.operand,)
    found: list[Condition] = [
        exists().where(_of_run(field), condition) for condition in value_matches(compare, _tested)
    ]
    if compare.op is Op.EXISTS:
        found.extend(_nested_exists(field.scope, key) for key in field.keys)
    if compare.op in (Op.EQ, Op.IN) and None in operands:
        # Missing or null; NaN, lists and overlong text are not told from null, since the index holds none of them.
        found.append(
            not_(exists().where(_of_run(field), or_(_tested.c.num.is_not(None), _tested.c.text.is_not(None))))
        )
    return or_(false(), *found)


def _nested_exists(scope: str, key: str) -> Condition:
    """Whether something stands under `key.`; `/` follows `.` in every encoding we store."""
    return exists().where(
        _tested.c.run_pk == runs.c.run_pk,
        _tested.c.scope == scope,
        _tested.c.key > f"{key}.",
        _tested.c.key < f"{key}/",
    )


def condition_of(filters: Filter | None) -> Condition:
    """The condition on `runs` that a filter means; never null, so that `Not` is its exact complement."""
    if filters is None:
        return true()
    if isinstance(filters, And):
        return and_(true(), *(condition_of(part) for part in filters.parts))
    if isinstance(filters, Or):
        return or_(false(), *(condition_of(part) for part in filters.parts))
    if isinstance(filters, Not):
        return not_(condition_of(filters.part))
    if isinstance(filters.field, Column):
        return _on_column(filters.field, filters, runs)
    if isinstance(filters.field, Tags):
        return _on_tags(filters)
    return _on_value(filters.field, filters)


def conjuncts(filters: Filter | None) -> tuple[Filter, ...]:
    """The conditions that must all hold."""
    if isinstance(filters, And):
        return tuple(leaf for part in filters.parts for leaf in conjuncts(part))
    return () if filters is None else (filters,)


def driver_of(project_pk: int, part: Filter) -> Select[tuple[int]] | None:
    """The keys of the runs that meet one condition, straight from an index; None where no index tells."""
    if not isinstance(part, Compare):
        return None
    if isinstance(part.field, Value):
        operands = part.operand if isinstance(part.operand, tuple) else (part.operand,)
        matches = value_matches(part, _driving)
        is_ranged = part.op in (Op.EQ, Op.IN, Op.GT, Op.GTE, Op.LT, Op.LTE)
        if not is_ranged or None in operands or len(matches) != 1:
            return None
        return select(_driving.c.run_pk).where(
            _driving.c.project_pk == project_pk,
            _driving.c.scope == part.field.scope,
            _key_is(_driving, part.field.keys),
            matches[0],
        )
    if isinstance(part.field, Tags):
        if part.op not in (Op.EQ, Op.CONTAINS) or not isinstance(part.operand, str):
            return None
        return select(run_tags.c.run_pk).where(run_tags.c.tag == part.operand)
    if part.field.name in _INDEXED and part.op not in (Op.REGEX, Op.CONTAINS, Op.EXISTS):
        condition = _on_column(part.field, part, _driving_runs)
        return select(_driving_runs.c.run_pk).where(_driving_runs.c.project_pk == project_pk, condition)
    return None


def has_no_value(scope: str, key: str) -> Condition:
    """Whether a run has neither a number nor text under a key."""
    return not_(
        exists().where(
            _of_run(Value(scope, (key,))), or_(_tested.c.num.is_not(None), _tested.c.text.is_not(None))
        )
    )
