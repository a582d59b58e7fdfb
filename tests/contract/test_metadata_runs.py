"""The contract of RunStore and SpoolStore; filters and orders are held against a plain model of what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.metadata_adapters import ADAPTERS, Metadata
from weighbridge.domain.filters import (
    And,
    Column,
    Compare,
    Filter,
    Kind,
    Not,
    Op,
    Or,
    Order,
    Tags,
    Value,
    parse_filter,
    parse_order,
)
from weighbridge.domain.run import MetricDefinition, RunRef, RunState
from weighbridge.domain.summary import Accumulator, flatten
from weighbridge.errors import InvalidFilter
from weighbridge.services.ports.runs import (
    DOCUMENTS,
    NewRun,
    RunChanges,
    RunDocuments,
    RunQuery,
    ValueChanges,
)

AT = 1_000.0
NOTHING: frozenset[str] = frozenset()


@pytest.fixture(params=list(ADAPTERS.values()), ids=list(ADAPTERS))
def metadata(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Metadata]:
    make: Callable[[Path], Metadata] = request.param
    made = make(tmp_path)
    yield made
    made.uow.close()


def add_run(
    metadata: Metadata,
    run_id: str,
    *,
    config: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
    tags: tuple[str, ...] = (),
    at: float = AT,
    **changes: Any,
) -> int:
    documents = RunDocuments(config=config or {}, summary=summary or {})
    with metadata.uow.write() as tx:
        project_pk = metadata.addresses.ensure_project(tx, "ada", "p", at=AT)
        number = metadata.runs.next_number(tx, project_pk)
        new = NewRun(
            project_pk=project_pk,
            run_id=run_id,
            number=number,
            display_name=f"name-{run_id}",
            state=RunState.RUNNING,
            job_type="",
            group="",
            notes="",
            user="ada",
            created_at=at,
            at=at,
        )
        run_pk = metadata.runs.create(tx, new)
        metadata.runs.create_documents(tx, run_pk, documents)
        for scope, values in (("c", documents.config), ("s", documents.summary)):
            leaves = ValueChanges(scope=scope, values=dict(flatten(values)))
            metadata.runs.index_values(tx, run_pk, project_pk, changes=leaves)
        metadata.runs.set_tags(tx, run_pk, tags)
        metadata.runs.update(tx, run_pk, RunChanges(**changes))
        return run_pk


def page(
    metadata: Metadata, filters: Filter | None, order: Order, *, limit: int = 1_000, cursor: str | None = None
) -> tuple[list[str], str | None]:
    with metadata.uow.read() as tx:
        project_pk = metadata.addresses.find_project(tx, "ada", "p")
        assert project_pk is not None
        query = RunQuery(
            project_pk=project_pk, filters=filters, order=order, cursor=cursor, limit=limit, include=NOTHING
        )
        found = metadata.runs.page(tx, query)
    return [run.run_id for run in found.runs], found.next_cursor


def ids(metadata: Metadata, filters: dict[str, Any], order: str = "+created_at") -> list[str]:
    return page(metadata, parse_filter(filters), parse_order(order))[0]


# ---------------------------------------------------------------------------------------------- one run


def test_a_missing_run_is_none_and_a_tombstone_says_so(metadata: Metadata) -> None:
    run_pk = add_run(metadata, "r", config={"a": 1})
    with metadata.uow.write() as tx:
        assert metadata.runs.find(tx, RunRef("ada", "p", "x"), include=DOCUMENTS) is None
        assert metadata.runs.find(tx, RunRef("bob", "p", "r"), include=DOCUMENTS) is None
        metadata.runs.wipe(tx, run_pk)
        metadata.runs.update(tx, run_pk, RunChanges(is_deleted=True))
        found = metadata.runs.find(tx, RunRef("ada", "p", "r"), include=DOCUMENTS)
    assert found is not None
    assert (found.record.is_deleted, found.record.config) == (True, {})
    assert ids(metadata, {}) == []


def test_documents_come_back_exactly_and_only_where_asked_for(metadata: Metadata) -> None:
    run_pk = add_run(metadata, "r")
    documents = RunDocuments(
        config={"nan": float("inf"), "text": "ü\n", "deep": {"a": [1, None, {"b": True}]}, "big": 2**70},
        summary={"-inf": float("-inf")},
        environment={"python": "3.11"},
        metrics=(MetricDefinition(name="loss", summary=("min",), goal="minimize"),),
        totals={"loss": Accumulator(first=1.0, last=2.0, min=float("-inf"), sum=3.5, count=2)},
    )
    with metadata.uow.write() as tx:
        names = frozenset(RunDocuments.__struct_fields__)
        metadata.runs.update_documents(tx, run_pk, documents, names=names)
        assert metadata.runs.documents(tx, run_pk) == documents
        part = metadata.runs.find(tx, RunRef("ada", "p", "r"), include=frozenset({"summary"}))
    assert part is not None
    assert (part.record.summary, part.record.config) == (documents.summary, {})


def test_numbers_are_given_once_per_project(metadata: Metadata) -> None:
    with metadata.uow.write() as tx:
        first, second = (metadata.addresses.ensure_project(tx, "ada", name, at=AT) for name in "pq")
        given_out = [metadata.runs.next_number(tx, pk) for pk in (first, first, second, first)]
    assert given_out == [1, 2, 1, 3]


def test_values_are_set_again_and_removed(metadata: Metadata) -> None:
    run_pk = add_run(metadata, "r", config={"a": 1, "b": "x"})
    with metadata.uow.write() as tx:
        found = metadata.runs.find(tx, RunRef("ada", "p", "r"), include=NOTHING)
        assert found is not None
        changes = ValueChanges(scope="c", values={"a": "now text"}, removed=frozenset({"b", "never"}))
        metadata.runs.index_values(tx, run_pk, found.project_pk, changes=changes)
    assert ids(metadata, {"config.a": 1}) == []
    assert ids(metadata, {"config.a": "now text"}) == ["r"]
    assert ids(metadata, {"config.b": {"$exists": True}}) == []


def test_spools_know_their_run_and_who_else_writes(metadata: Metadata) -> None:
    run_pk = add_run(metadata, "r")
    with metadata.uow.write() as tx:
        assert metadata.spools.find(tx, "s1") is None
        metadata.spools.create(tx, run_pk, "s1", is_attached=False, at=AT)
        metadata.spools.create(tx, run_pk, "s2", is_attached=True, at=AT + 10)
        first, second = metadata.spools.find(tx, "s1"), metadata.spools.find(tx, "s2")
        assert first is not None and second is not None
        assert (first.run_pk, first.next_offset, first.is_open, second.is_attached) == (run_pk, 0, True, True)
        assert not metadata.spools.has_earlier(tx, first)
        assert metadata.spools.has_earlier(tx, second)
        assert metadata.spools.has_other_open(tx, run_pk, "s1", since=AT + 10)
        assert not metadata.spools.has_other_open(tx, run_pk, "s1", since=AT + 11)
        metadata.spools.update(tx, second.spool_pk, next_offset=2**40, is_open=False, heartbeat_at=AT + 20)
        assert not metadata.spools.has_other_open(tx, run_pk, "s1", since=0)
        moved = metadata.spools.find(tx, "s2")
    assert moved is not None
    assert (moved.next_offset, moved.is_open, moved.heartbeat_at) == (2**40, False, AT + 20)


# --------------------------------------------------------------------------------------- pages and orders


def test_a_cursor_that_is_not_of_this_order_is_refused(metadata: Metadata) -> None:
    for number in range(3):
        add_run(metadata, f"r{number}")
    _, cursor = page(metadata, None, parse_order("+created_at"), limit=1)
    assert cursor is not None
    for bad in ("", "!", "x" * 50, cursor[:-4], cursor):
        order = parse_order("-created_at") if bad == cursor else parse_order("+created_at")
        with pytest.raises(InvalidFilter):
            page(metadata, None, order, cursor=bad)


@pytest.mark.parametrize(
    "order", ["+summary.a", "-summary.a", "+config.a.value", "-created_at", "-finished_at"]
)
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_in_a_row_are_the_whole_order_though_runs_come_and_go(
    metadata: Metadata, order: str, limit: int
) -> None:
    values = [3, None, "x", 1.5, 3, float("nan"), "a", True, [1], "x"]
    for number, value in enumerate(values):
        ends: dict[str, Any] = {} if number % 3 else {"finished_at": float(number % 2)}
        add_run(metadata, f"r{number}", config={"a": value}, summary={"a": value}, at=AT + number % 4, **ends)
    whole, _ = page(metadata, None, parse_order(order))
    assert sorted(whole) == [f"r{number}" for number in range(len(values))]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(len(values)):
        found, cursor = page(metadata, None, parse_order(order), limit=limit, cursor=cursor)
        seen += found
        if cursor is None:
            break
    assert seen == whole


def test_numbers_go_before_text_and_runs_without_come_last_both_ways(metadata: Metadata) -> None:
    for run_id, value in {"one": 1, "two": 2, "b": "b", "a": "a", "none": None, "nan": float("nan")}.items():
        add_run(metadata, run_id, summary={"x": value})
    add_run(metadata, "missing")
    assert ids(metadata, {}, "+summary.x") == ["one", "two", "a", "b", "none", "nan", "missing"]
    assert ids(metadata, {}, "-summary.x") == ["two", "one", "b", "a", "missing", "nan", "none"]


def test_ties_go_by_age(metadata: Metadata) -> None:
    for run_id in "abc":
        add_run(metadata, run_id, summary={"x": 1})
    assert ids(metadata, {}, "+summary.x") == ["a", "b", "c"]
    assert ids(metadata, {}, "-summary.x") == ["c", "b", "a"]


# ------------------------------------------------------------------------------------------- filters, told


def test_keys_are_met_with_or_without_value_nested_or_dotted(metadata: Metadata) -> None:
    add_run(metadata, "nested", config={"opt": {"lr": 1}})
    add_run(metadata, "dotted", config={"opt.lr": 1})
    add_run(metadata, "wandb", config={"opt": {"lr": {"value": 1}}})
    assert ids(metadata, {"config.opt.lr": 1}) == ["nested", "dotted"]
    assert ids(metadata, {"config.opt.lr.value": 1}) == ["nested", "dotted", "wandb"]
    assert ids(metadata, {"config.opt.value.lr": 1}) == ["nested", "dotted"]
    assert ids(metadata, {"config.opt": {"$exists": True}}) == ["nested", "dotted", "wandb"]
    assert ids(metadata, {"config.op": {"$exists": True}}) == []


def test_a_pattern_sees_a_bounded_part_and_takes_bounded_time(metadata: Metadata) -> None:
    add_run(metadata, "long", notes="a" * 5_000 + "b")
    add_run(metadata, "short", notes="ab")
    assert ids(metadata, {"notes": {"$regex": "b$"}}) == ["short"]
    assert ids(metadata, {"notes": {"$regex": "^a+"}}) == ["long", "short"]


def test_a_filter_is_met_wherever_the_search_begins(metadata: Metadata) -> None:
    """Whether a condition is rare or common decides the plan, and must not decide the answer."""
    with metadata.uow.write():
        for number in range(2_100):
            add_run(
                metadata,
                f"r{number}",
                config={"parity": number % 2, "rare": number // 700},
                summary={"score": float(number)},
                tags=("odd",) if number % 2 else (),
            )
    best_first = parse_order("-summary.score")
    for filters in ({"config.parity": 1}, {"tags": "odd"}, {"config.parity": {"$gt": 0.5}}):
        found, _ = page(metadata, parse_filter(filters), best_first, limit=3)
        assert found == ["r2099", "r2097", "r2095"]
    found, _ = page(metadata, parse_filter({"config.rare": 1, "config.parity": 0}), best_first, limit=2)
    assert found == ["r1398", "r1396"]
    found, _ = page(metadata, parse_filter({"summary.score": {"$lt": 10}}), best_first, limit=2)
    assert found == ["r9", "r8"]
    with metadata.uow.read() as tx:
        project_pk = metadata.addresses.find_project(tx, "ada", "p")
        assert project_pk is not None
        assert metadata.runs.count(tx, project_pk, parse_filter({"config.parity": 1})) == 1_050
        assert metadata.runs.count(tx, project_pk, None) == 2_100


# ------------------------------------------------------------------------------------------ filters, modelled

_Run = dict[str, Any]
_KEYS = ("a", "b")
_values = (
    st.none()
    | st.booleans()
    | st.sampled_from([-1, 0, 1, 0.5, float("nan")])
    | st.sampled_from(["x", "xy", ""])
)
_runs = st.fixed_dictionaries(
    {
        "config": st.dictionaries(st.sampled_from(_KEYS), _values),
        "tags": st.sets(st.sampled_from(["t", "u"])).map(sorted).map(tuple),
        "state": st.sampled_from(["running", "failed"]),
        "exit_code": st.none() | st.sampled_from([0, 1]),
    }
)
_operands = st.sampled_from([-1, 0, 1, 0.5, True, "x", "xy"])
_conditions = (
    st.tuples(st.sampled_from(["$eq", "$ne"]), _operands | st.none())
    | st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), _operands)
    | st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(_operands | st.none(), max_size=3))
    | st.tuples(st.just("$exists"), st.booleans())
    | st.tuples(st.sampled_from(["$regex", "$contains"]), st.sampled_from(["x", "y"]))
)
_tag_conditions = (
    st.tuples(st.sampled_from(["$eq", "$ne", "$contains"]), st.sampled_from(["t", "u", "v"]))
    | st.tuples(st.sampled_from(["$in", "$nin", "$all"]), st.lists(st.sampled_from(["t", "u"]), max_size=2))
    | st.tuples(st.just("$size"), st.integers(0, 3))
    | st.tuples(st.just("$exists"), st.booleans())
    | st.tuples(st.just("$regex"), st.just("t|u"))
)
_leaves = (
    st.tuples(st.sampled_from([f"config.{key}" for key in _KEYS]), _conditions)
    | st.tuples(st.just("tags"), _tag_conditions)
    | st.tuples(st.just("state"), st.tuples(st.just("$in"), st.lists(st.sampled_from(["running", "failed"]))))
    | st.tuples(
        st.just("exit_code"), st.tuples(st.sampled_from(["$eq", "$gt", "$ne"]), st.sampled_from([0, 1]))
    )
)
_filters = st.recursive(
    _leaves.map(lambda leaf: {leaf[0]: {leaf[1][0]: leaf[1][1]}}),
    lambda inner: (
        st.tuples(st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=3)).map(
            lambda pair: {pair[0]: pair[1]}
        )
        | inner.map(lambda part: {"$not": part})
    ),
    max_leaves=5,
)


def _is_indexed(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, bool | int | float) and value == value)


def _meets(value: object, op: Op, operand: object) -> bool:
    """One value against one operand; numbers and booleans are one kind, text another."""
    is_text = isinstance(operand, str)
    if not _is_indexed(value) or isinstance(value, str) != is_text:
        return False
    if op is Op.REGEX:
        return re.search(str(operand), str(value)) is not None
    if op is Op.CONTAINS:
        return str(operand) in str(value)
    left: Any = value
    right: Any = operand
    return bool(
        {
            Op.EQ: left == right,
            Op.GT: left > right,
            Op.GTE: left >= right,
            Op.LT: left < right,
            Op.LTE: left <= right,
        }[op]
    )


def _tagged(tags: tuple[str, ...], compare: Compare) -> bool:
    operands: Any = compare.operand if isinstance(compare.operand, tuple) else (compare.operand,)
    if compare.op is Op.SIZE:
        return len(tags) == compare.operand
    if compare.op is Op.EXISTS:
        return bool(tags)
    if compare.op is Op.REGEX:
        return any(re.search(str(compare.operand), tag) for tag in tags)
    found = [operand in tags for operand in operands]
    return all(found) if compare.op is Op.ALL else any(found)


def _holds(run: _Run, filters: Filter) -> bool:
    """What the language means, said without SQL."""
    if isinstance(filters, And):
        return all(_holds(run, part) for part in filters.parts)
    if isinstance(filters, Or):
        return any(_holds(run, part) for part in filters.parts)
    if isinstance(filters, Not):
        return not _holds(run, filters.part)
    field = filters.field
    if isinstance(field, Tags):
        return _tagged(run["tags"], filters)
    is_column = isinstance(field, Column)
    held = run if isinstance(field, Column) else run["config"]
    key = field.name if isinstance(field, Column) else field.keys[0]
    value = held.get(key)
    if filters.op is Op.EXISTS:
        return value is not None if is_column else key in held
    operands = filters.operand if isinstance(filters.operand, tuple) else (filters.operand,)
    op = Op.EQ if filters.op is Op.IN else filters.op
    return any(_meets(value, op, each) if each is not None else not _is_indexed(value) for each in operands)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(_runs, max_size=8), filters=st.lists(_filters, min_size=1, max_size=6))
def test_sql_finds_what_the_language_means(
    tmp_path_factory: pytest.TempPathFactory, runs: list[_Run], filters: list[dict[str, Any]]
) -> None:
    metadata = ADAPTERS["sqlite"](tmp_path_factory.mktemp("model"))
    with metadata.uow.write() as tx:
        metadata.addresses.ensure_project(tx, "ada", "p", at=AT)
        for number, run in enumerate(runs):
            add_run(
                metadata,
                f"r{number}",
                config=run["config"],
                tags=run["tags"],
                state=RunState(run["state"]),
                exit_code=run["exit_code"],
            )
    for each in filters:
        tree = parse_filter(each)
        assert tree is not None
        expected = [f"r{number}" for number, run in enumerate(runs) if _holds(run, tree)]
        assert page(metadata, tree, parse_order("created_at"))[0] == expected, each
        for order in ("-config.a", "+config.b", "-exit_code"):
            assert sorted(page(metadata, tree, parse_order(order))[0]) == expected, (each, order)
        with metadata.uow.read() as tx:
            project_pk = metadata.addresses.find_project(tx, "ada", "p")
            assert project_pk is not None
            assert metadata.runs.count(tx, project_pk, tree) == len(expected)
    metadata.uow.close()


def test_the_model_itself_tells_apart() -> None:
    run: _Run = {"config": {"a": 1}, "tags": ("t",), "state": "failed", "exit_code": None}
    value = Value("c", ("a",))
    assert _holds(run, Compare(value, Op.GTE, 1.0))
    assert not _holds(run, Compare(value, Op.GT, 1.0))
    assert not _holds(run, Compare(Column("exit_code", Kind.NUMBER), Op.EQ, 0.0))
