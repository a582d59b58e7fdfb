"""Filters of registries, held against plain dicts."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.errors import InvalidFilter
from weighbridge.sdk.public.matching import DEPTH_MAX, matcher


def found(filters: dict[str, Any], item: dict[str, Any]) -> bool:
    def value_of(one: dict[str, Any], field: str) -> object:
        return one.get(field)

    return matcher(filters, value_of)(item)


@pytest.mark.parametrize(
    "filters",
    [
        {"name": {"$near": 1}},
        {"$or": {"name": "a"}},
        {"name": {"$in": "abc"}},
        {"name": {"$regex": "("}},
        {"name": {"$regex": "a" * 513}},
        {"$and": ["name"]},
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_before_any_item(filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter):
        matcher(filters, lambda item, field: None)


def test_a_filter_nested_too_deep_is_refused() -> None:
    filters: dict[str, Any] = {"name": "a"}
    for _ in range(DEPTH_MAX + 1):
        filters = {"$and": [filters]}
    with pytest.raises(InvalidFilter, match="nested"):
        matcher(filters, lambda item, field: None)


@pytest.mark.parametrize(
    ("filters", "item", "expected"),
    [
        ({}, {}, True),
        ({"name": "Digits"}, {"name": "Digits"}, True),
        ({"name": "Digits"}, {"name": "digits"}, False),
        ({"name": {"$regex": "^Dig"}}, {"name": "Digits"}, True),
        ({"name": {"$contains": "git"}}, {"name": "Digits"}, True),
        ({"alias": "staging"}, {"alias": ("latest", "staging")}, True),
        ({"alias": {"$ne": "staging"}}, {"alias": ("latest", "staging")}, False),
        ({"alias": {"$nin": ["production"]}}, {"alias": ("latest",)}, True),
        ({"alias": {"$in": ["production"]}}, {"alias": ("latest",)}, False),
        ({"score": {"$gte": 0.5, "$lt": 1}}, {"score": 0.5}, True),
        ({"score": {"$gt": 0.5}}, {"score": "high"}, False),
        ({"score": {"$gt": 0.5}}, {}, False),
        ({"score": {"$exists": True}}, {}, False),
        ({"score": {"$not": {"$gt": 1}}}, {"score": 0}, True),
        ({"$or": [{"name": "a"}, {"name": "b"}]}, {"name": "b"}, True),
        ({"$nor": [{"name": "a"}, {"name": "b"}]}, {"name": "b"}, False),
        ({"$not": {"name": "a"}}, {"name": "b"}, True),
        ({"$and": [{"name": "a"}, {"score": 1}]}, {"name": "a", "score": 2}, False),
    ],
)
def test_matches(filters: dict[str, Any], item: dict[str, Any], expected: bool) -> None:
    assert found(filters, item) is expected
