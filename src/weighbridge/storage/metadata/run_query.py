"""Pages and counts of runs: which plan finds them, and where a page goes on. It loads no document.

Two plans, chosen by counting at most PROBE_MAX index entries: few matches of one condition are fetched and
sorted; else the order's own index is walked and each run tested, which ends early. Pages go on where the last
one ended, by value and key, never by offset.
"""

from __future__ import annotations

import base64
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true
from sqlalchemy.sql.selectable import FromClause

from weighbridge.domain.filters import Column, Compare, Filter, Op, Order, Value
from weighbridge.errors import InvalidFilter
from weighbridge.services.ports.runs import RunQuery
from weighbridge.storage.metadata.run_filters import (
    Condition,
    column_of,
    condition_of,
    conjuncts,
    driver_of,
    has_no_value,
    is_nullable,
    value_matches,
)
from weighbridge.storage.metadata.tables import run_values, runs

PROBE_MAX: Final = 2_000
"""A condition that fewer runs than this meet is worth starting from."""

_ordered = run_values.alias("ordered")


def count_runs(sql: Connection, project_pk: int, filters: Filter | None) -> int:
    """How many live runs of a project match."""
    conditions = [runs.c.project_pk == project_pk, runs.c.is_deleted.is_(False), condition_of(filters)]
    for part in conjuncts(filters):
        driver = driver_of(project_pk, part)
        if driver is not None:
            # Every match has to be visited, so an index that tells any of the conditions is the way.
            conditions.insert(0, runs.c.run_pk.in_(driver))
            break
    query = select(func.count()).select_from(runs).where(*conditions)
    return int(sql.execute(query).scalar_one())


def _selective(sql: Connection, project_pk: int, filters: Filter | None) -> Select[tuple[int]] | None:
    """The first condition that fewer than PROBE_MAX runs meet, as a query of their keys."""
    for part in conjuncts(filters):
        driver = driver_of(project_pk, part)
        if driver is None:
            continue
        probe = select(func.count()).select_from(driver.limit(PROBE_MAX).subquery())
        if sql.execute(probe).scalar_one() < PROBE_MAX:
            return driver
    return None


# --------------------------------------------------------------------------------------------------- pages


class _Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a page ended: the order, which stretch of it, the value and the key of the last run."""

    order: str
    stretch: int
    value: float | str
    run_pk: int


class _Stretch(NamedTuple):
    """One part of an order, walked by its own index: numbers, then text, then runs without a value by age."""

    number: int
    source: FromClause
    value: ColumnElement[Any]
    condition: Condition
    tie: ColumnElement[Any]


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


class _Plan(NamedTuple):
    """How the runs of a query are found. `driver` is where to start, None to walk the order."""

    project_pk: int
    driver: Select[tuple[int]] | None

    def of_project(self, table: FromClause) -> Condition:
        """Rows of the project. With a driver, written so that no index on the project is used in its place."""
        column: ColumnElement[int] = table.c.project_pk
        return column == self.project_pk if self.driver is None else column + 0 == self.project_pk


def _stretches(sql: Connection, plan: _Plan, query: RunQuery) -> list[_Stretch]:
    field = query.order.field
    if isinstance(field, Column):
        column = column_of(field, runs)
        if not is_nullable(field):
            return [_Stretch(0, runs, column, true(), runs.c.run_pk)]
        return [
            _Stretch(0, runs, column, column.is_not(None), runs.c.run_pk),
            _Stretch(2, runs, runs.c.created_at, column.is_(None), runs.c.run_pk),
        ]
    key = _key_in_use(sql, plan.project_pk, field)
    joined = _ordered.join(runs, runs.c.run_pk == _ordered.c.run_pk)
    here = and_(plan.of_project(_ordered), _ordered.c.scope == field.scope, _ordered.c.key == key)
    valued = [
        _Stretch(number, joined, column, and_(here, column.is_not(None)), _ordered.c.run_pk)
        for number, column in enumerate((_ordered.c.num, _ordered.c.text))
    ]
    for part in conjuncts(query.filters):
        narrowed = _narrowed(part, field.scope, key)
        if narrowed is not None:
            stretch = valued[narrowed[0]]
            return [stretch._replace(condition=and_(stretch.condition, narrowed[1]))]
    without = has_no_value(field.scope, key)
    return [*valued, _Stretch(2, runs, runs.c.created_at, without, runs.c.run_pk)]


def _narrowed(part: Filter, scope: str, key: str) -> tuple[int, Condition] | None:
    """The only stretch, and the part of it, that a condition on the ordered value itself leaves to walk."""
    if not isinstance(part, Compare) or part.field != Value(scope, (key,)):
        return None
    if part.op not in (Op.EQ, Op.GT, Op.GTE, Op.LT, Op.LTE) or not isinstance(part.operand, float | str):
        return None
    return int(isinstance(part.operand, str)), value_matches(part, _ordered)[0]


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
    """Beyond a place. The first condition alone lets the index begin there; the second breaks ties."""
    value = stretch.value
    beyond = stretch.tie < place.run_pk if is_descending else stretch.tie > place.run_pk
    reached = value <= place.value if is_descending else value >= place.value
    return and_(reached, or_(value != place.value, beyond))


def _page(plan: _Plan, stretch: _Stretch, query: RunQuery, *, place: _Place | None) -> Select[Any]:
    rows = (
        select(runs.c.run_pk, stretch.value.label("value"))
        .select_from(stretch.source)
        .where(plan.of_project(runs), runs.c.is_deleted.is_(False), stretch.condition)
        .where(condition_of(query.filters))
    )
    if plan.driver is not None:
        rows = rows.where(runs.c.run_pk.in_(plan.driver))
    if place is not None and place.stretch == stretch.number:
        rows = rows.where(_after(stretch, place, is_descending=query.order.is_descending))
    keys = (stretch.value, stretch.tie)
    return rows.order_by(*(each.desc() if query.order.is_descending else each.asc() for each in keys))


def page_of_keys(sql: Connection, query: RunQuery) -> tuple[list[int], str | None]:
    """Keys of one page of live runs in order, and the cursor of the next page or None."""
    wanted, name = query.limit + 1, _order_text(query.order)
    place = None if query.cursor is None else _decode(query.cursor, query.order)
    plan = _Plan(query.project_pk, _selective(sql, query.project_pk, query.filters))
    found: list[_Place] = []
    for stretch in _stretches(sql, plan, query):
        if len(found) == wanted or (place is not None and stretch.number < place.stretch):
            continue
        rows = _page(plan, stretch, query, place=place).limit(wanted - len(found))
        found.extend(_Place(name, stretch.number, row.value, row.run_pk) for row in sql.execute(rows))
    page = found[: query.limit]
    return [each.run_pk for each in page], _encode(page[-1]) if len(found) == wanted else None
