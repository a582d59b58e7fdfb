"""The filter language as a tree: what is refused and where, then what is meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain import filters
from weighbridge.domain.filters import (
    And,
    Column,
    Compare,
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
from weighbridge.errors import InvalidFilter

STATE = Column("state", Kind.TEXT)


@pytest.mark.parametrize(
    ("bad", "path", "says"),
    [
        ({"stat": "x"}, "stat", "'state'"),
        ({"state": {"$eqq": 1}}, "state.$eqq", "'$eq'"),
        ({"$xor": []}, "$xor", "'$or'"),
        ({"$and": {"state": "x"}}, "$and", "list"),
        ({"$or": []}, "$or", "list"),
        ({"$nor": []}, "$nor", "list"),
        ({"$or": [{"state": "x"}, {"nope": 1}]}, "$or[1].nope", "nope"),
        ({"$and": ["x"]}, "$and[0]", "mapping"),
        ({"state": {}}, "state", "nothing"),
        ({"state": {"$in": "x"}}, "state.$in", "list"),
        ({"state": {"$exists": 1}}, "state.$exists", "true or false"),
        ({"state": 3}, "state", "text with a number"),
        ({"created_at": "soon"}, "created_at", "time"),
        ({"exit_code": "0"}, "exit_code", "text"),
        ({"config.a": [1]}, "config.a", "list"),
        ({"config.a": float("nan")}, "config.a", "NaN"),
        ({"config.a": {"$gt": None}}, "config.a.$gt", "null"),
        ({"config.a": {"$size": 2}}, "config.a.$size", "no list"),
        ({"config.a": {"$all": [2]}}, "config.a.$all", "no list"),
        ({"tags": {"$size": 1.5}}, "tags.$size", "whole number"),
        ({"tags": {"$gt": "a"}}, "tags.$gt", "list"),
        ({"tags": 5}, "tags", "text with a number"),
        ({"created_at": {"$regex": "x"}}, "created_at.$regex", "number"),
        ({"notes": {"$regex": "("}}, "notes.$regex", "pattern"),
        ({"notes": {"$regex": "(a+)+"}}, "notes.$regex", "exponential"),
        ({"notes": {"$regex": "(a|aa)*"}}, "notes.$regex", "exponential"),
        ({"notes": {"$contains": 5}}, "notes.$contains", "text"),
        ({"config.": 5}, "config.", "config."),
        ({3: 4}, "", "not text"),
    ],
)
def test_a_filter_that_cannot_be_read_names_the_part(bad: dict[str, object], path: str, says: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(bad)
    assert caught.value.details["path"] == path
    assert says in str(caught.value)


def test_depth_nodes_lists_patterns_and_texts_are_bounded() -> None:
    deep: dict[str, object] = {"state": "x"}
    for _ in range(filters.DEPTH_MAX):
        deep = {"$and": [deep]}
    wide = {"$or": [{"state": "x"}] * filters.NODES_MAX}
    for bad in (
        deep,
        wide,
        {"state": {"$in": ["x"] * (filters.LIST_MAX + 1)}},
        {"notes": {"$regex": "a" * (filters.REGEX_MAX + 1)}},
        {"config.a": "x" * (filters.TEXT_MAX + 1)},
        {"config." + "k" * filters.KEY_MAX: 1},
    ):
        with pytest.raises(InvalidFilter):
            parse_filter(bad)
    assert parse_filter({"notes": {"$regex": "a" * filters.REGEX_MAX}})
    assert parse_filter({"state": {"$in": ["x"] * filters.LIST_MAX}})


@pytest.mark.parametrize("bad", ["", "+", "-", "nope", "-tags", "config.", "+-"])
def test_an_order_that_cannot_be_read_is_refused(bad: str) -> None:
    with pytest.raises(InvalidFilter):
        parse_order(bad)


def test_nothing_asked_matches_all() -> None:
    assert parse_filter({}) is None


def test_a_bare_value_is_equality_and_several_fields_must_all_hold() -> None:
    assert parse_filter({"state": "finished", "config.lr": 1}) == And(
        (Compare(STATE, Op.EQ, "finished"), Compare(Value("c", ("lr",)), Op.EQ, 1.0))
    )


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("displayName", Column("display_name", Kind.TEXT)),
        ("display_name", Column("display_name", Kind.TEXT)),
        ("jobType", Column("job_type", Kind.TEXT)),
        ("username", Column("username", Kind.TEXT)),
        ("user", Column("username", Kind.TEXT)),
        ("user.username", Column("username", Kind.TEXT)),
        ("heartbeatAt", Column("heartbeat_at", Kind.TIME)),
        ("name", Column("name", Kind.TEXT)),
        ("tags", Tags()),
        ("config.a.b", Value("c", ("a.b",))),
        ("config.lr.value", Value("c", ("lr", "lr.value"))),
        ("config.opt.value.lr", Value("c", ("opt.lr", "opt.value.lr"))),
        ("summary_metrics.acc", Value("s", ("acc",))),
        ("summaryMetrics.acc", Value("s", ("acc",))),
        ("summary.val/acc", Value("s", ("val/acc",))),
        ("summary.x.value", Value("s", ("x.value",))),
    ],
)
def test_fields_are_known_by_both_spellings(name: str, field: filters.Field) -> None:
    assert parse_filter({name: {"$exists": True}}) == Compare(field, Op.EXISTS, True)


def test_negations_are_complements() -> None:
    is_x = Compare(STATE, Op.EQ, "x")
    assert parse_filter({"state": {"$ne": "x"}}) == Not(is_x)
    assert parse_filter({"state": {"$not": {"$eq": "x"}}}) == Not(is_x)
    assert parse_filter({"$not": {"state": "x"}}) == Not(is_x)
    assert parse_filter({"state": {"$nin": ["x"]}}) == Not(Compare(STATE, Op.IN, ("x",)))
    assert parse_filter({"$nor": [{"state": "x"}]}) == Not(Or((is_x,)))
    assert parse_filter({"state": {"$exists": False}}) == Not(Compare(STATE, Op.EXISTS, True))


def test_several_operators_on_one_field_must_all_hold() -> None:
    field = Value("s", ("acc",))
    assert parse_filter({"summary.acc": {"$gte": 0.5, "$lt": 1}}) == And(
        (Compare(field, Op.GTE, 0.5), Compare(field, Op.LT, 1.0))
    )


def test_times_are_read_as_utc_where_they_name_no_zone() -> None:
    created = Column("created_at", Kind.TIME)
    assert parse_filter({"created_at": {"$gt": "1970-01-01T00:01:00"}}) == Compare(created, Op.GT, 60.0)
    assert parse_filter({"createdAt": {"$gt": "1970-01-01T01:00:00+01:00"}}) == Compare(created, Op.GT, 0.0)
    assert parse_filter({"created_at": 5}) == Compare(created, Op.EQ, 5.0)


def test_orders_name_a_field_and_a_direction() -> None:
    assert parse_order("created_at") == Order(Column("created_at", Kind.TIME), False)
    assert parse_order("-summary_metrics.acc") == Order(Value("s", ("acc",)), True)
    assert parse_order("+config.lr.value") == Order(Value("c", ("lr", "lr.value")), False)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$and", "$or", "$not", "$eq", "$gt", "$in", "$regex", "$size", "state", "config.a", "tags"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(_json)
def test_anything_is_read_or_refused_but_never_breaks(anything: object) -> None:
    try:
        parse_filter(anything)  # type: ignore[arg-type]  # what a client may send
    except InvalidFilter:
        pass
