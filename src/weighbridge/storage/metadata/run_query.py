"""Filters and orders of runs as SQL, and pages of run keys. It knows no record and loads no document.

Two plans, chosen by counting at most PROBE_MAX index entries: few matches of one condition are fetched and
sorted; else the order's own index is walked and each run tested, which ends early. Pages go on where the last
one ended.
"""

from __future__ import annotations

import base64
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
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

from weighbridge.domain.filters import (
    And,
    Column,
    Compare,
    Filter,
    Not,
    Op,
    Or,
    Order,
    Tags,
    Value,
)
from weighbridge.errors import InvalidFilter
from weighbridge.services.ports.runs import RunQuery
from weighbridge.storage.metadata.tables import run_tags, run_values, runs

PROBE_MAX: Final = 2_000
"""A condition that fewer runs than this meet is worth starting from."""

Condition = ColumnElement[bool]

# The same table in three roles, so that none is taken for another inside a subquery.
_tested = run_values.alias("tested")
_ordered = run_values.alias("ordered")
_driving = run_values.alias("driving")
_driving_runs = runs.alias("driving_runs")

_NAMES: Final = {"name": "run_id", "username": "user_name", "group": "group_name"}
"""Columns whose name differs from the field's."""

_INDEXED: Final = frozenset({"state", "name", "created_at", "heartbeat_at"})


def _column(field: Column, table: FromClause) -> ColumnElement[Any]:
    return table.c[_NAMES.get(field.name, field.name)]


def _is_nullable(field: Column) -> bool:
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
    column = _column(field, table)
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
    return func.coalesce(condition, false()) if _is_nullable(field) else condition


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


def _value_matches(compare: Compare, table: FromClause) -> list[Condition]:
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
        exists().where(_of_run(field), condition) for condition in _value_matches(compare, _tested)
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


def _live(project_pk: int) -> Condition:
    return and_(runs.c.project_pk == project_pk, runs.c.is_deleted.is_(False))


# ------------------------------------------------------------------------------------- where to start from


def _conjuncts(filters: Filter | None) -> tuple[Filter, ...]:
    if isinstance(filters, And):
        return tuple(leaf for part in filters.parts for leaf in _conjuncts(part))
    return () if filters is None else (filters,)


def _driver(project_pk: int, part: Filter) -> Select[tuple[int]] | None:
    """The keys of the runs that meet one condition, straight from an index; None where no index tells."""
    if not isinstance(part, Compare):
        return None
    if isinstance(part.field, Value):
        operands = part.operand if isinstance(part.operand, tuple) else (part.operand,)
        matches = _value_matches(part, _driving)
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


def _selective(sql: Connection, project_pk: int, filters: Filter | None) -> Select[tuple[int]] | None:
    """The first condition that fewer than PROBE_MAX runs meet, as a query of their keys."""
    for part in _conjuncts(filters):
        driver = _driver(project_pk, part)
        if driver is None:
            continue
        probe = select(func.count()).select_from(driver.limit(PROBE_MAX).subquery())
        if sql.execute(probe).scalar_one() < PROBE_MAX:
            return driver
    return None


def count_runs(sql: Connection, project_pk: int, filters: Filter | None) -> int:
    """How many live runs of a project match."""
    query = (
        select(func.count()).select_from(runs).where(_live(project_pk), *_within(sql, project_pk, filters))
    )
    return int(sql.execute(query).scalar_one())


def _within(sql: Connection, project_pk: int, filters: Filter | None) -> list[Condition]:
    if filters is None:
        return []
    driver = _selective(sql, project_pk, filters)
    conditions = [condition_of(filters)]
    return conditions if driver is None else [runs.c.run_pk.in_(driver), *conditions]


# --------------------------------------------------------------------------------------------------- pages


class _Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a page ended: the order, which stretch of it, the value and the key of the last run."""

    order: str
    stretch: int
    value: float | str | None
    run_pk: int


class _Stretch(NamedTuple):
    """One part of an order: numbers, then text, then nothing, each walked by its own index."""

    source: FromClause
    value: ColumnElement[Any] | None
    condition: Condition


def _order_text(order: Order) -> str:
    field = order.field
    name = field.name if isinstance(field, Column) else f"{field.scope}.{'|'.join(field.keys)}"
    return ("-" if order.is_descending else "+") + name


def _encode(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def _decode(cursor: str, order: Order) -> _Place:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = msgspec.msgpack.decode(base64.urlsafe_b64decode(padded), type=_Place)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidFilter(
            f"The cursor {cursor[:80]!r} cannot be read.", hint="Pass next_cursor of a page, unchanged."
        ) from error
    if place.order != _order_text(order) or not 0 <= place.stretch <= 2:
        raise InvalidFilter(
            f"The cursor belongs to the order {place.order!r}, not to {_order_text(order)!r}.",
            hint="Ask for the first page again when the order changes.",
        )
    return place


def _stretches(sql: Connection, project_pk: int, order: Order) -> list[_Stretch]:
    if isinstance(order.field, Column):
        column = _column(order.field, runs)
        if not _is_nullable(order.field):
            return [_Stretch(runs, column, true())]
        return [_Stretch(runs, column, column.is_not(None)), _Stretch(runs, None, column.is_(None))]
    field = Value(order.field.scope, (_key_in_use(sql, project_pk, order.field),))
    joined = _ordered.join(runs, runs.c.run_pk == _ordered.c.run_pk)
    here = and_(
        _ordered.c.project_pk == project_pk,
        _ordered.c.scope == field.scope,
        _ordered.c.key == field.keys[0],
    )
    nothing = not_(
        exists().where(_of_run(field), or_(_tested.c.num.is_not(None), _tested.c.text.is_not(None)))
    )
    return [
        _Stretch(joined, _ordered.c.num, and_(here, _ordered.c.num.is_not(None))),
        _Stretch(joined, _ordered.c.text, and_(here, _ordered.c.text.is_not(None))),
        _Stretch(runs, None, nothing),
    ]


def _key_in_use(sql: Connection, project_pk: int, field: Value) -> str:
    """The first of a field's keys that any run of the project has."""
    for key in field.keys[:-1]:
        found = select(run_values.c.run_pk).where(
            run_values.c.project_pk == project_pk, run_values.c.scope == field.scope, run_values.c.key == key
        )
        if sql.execute(found.limit(1)).first() is not None:
            return key
    return field.keys[-1]


def _after(stretch: _Stretch, place: _Place, *, is_descending: bool) -> Condition:
    beyond = runs.c.run_pk < place.run_pk if is_descending else runs.c.run_pk > place.run_pk
    value = stretch.value
    if value is None:
        return beyond
    further = value < place.value if is_descending else value > place.value
    return or_(further, and_(value == place.value, beyond))


def page_of_keys(sql: Connection, query: RunQuery) -> tuple[list[int], str | None]:
    """Keys of one page of live runs in order, and the cursor of the next page or None."""
    order, wanted = query.order, query.limit + 1
    place = None if query.cursor is None else _decode(query.cursor, order)
    conditions = _within(sql, query.project_pk, query.filters)
    found: list[_Place] = []
    name = _order_text(order)
    for number, stretch in enumerate(_stretches(sql, query.project_pk, order)):
        if len(found) == wanted or (place is not None and number < place.stretch):
            continue
        shown: ColumnElement[Any] = literal(None) if stretch.value is None else stretch.value
        rows = (
            select(runs.c.run_pk, shown.label("value"))
            .select_from(stretch.source)
            .where(_live(query.project_pk), stretch.condition, *conditions)
        )
        if place is not None and place.stretch == number:
            rows = rows.where(_after(stretch, place, is_descending=order.is_descending))
        keys = [runs.c.run_pk] if stretch.value is None else [stretch.value, _tie(stretch)]
        rows = rows.order_by(*(key.desc() if order.is_descending else key.asc() for key in keys))
        for row in sql.execute(rows.limit(wanted - len(found))):
            found.append(_Place(name, number, row.value, row.run_pk))
    page = found[: query.limit]
    return [each.run_pk for each in page], _encode(page[-1]) if len(found) == wanted else None


def _tie(stretch: _Stretch) -> ColumnElement[Any]:
    """The key column of the walked index, so that the index alone gives the order."""
    return runs.c.run_pk if stretch.source is runs else _ordered.c.run_pk
