"""The fold of history into a summary: last value by default, what was defined otherwise, by hand until logged again."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.run import MetricDefinition
from weighbridge.domain.summary import ColumnFacts, SummaryFold, facts_of, flatten


def fold(*rows: dict[str, object], define: tuple[MetricDefinition, ...] = ()) -> dict[str, object]:
    found = SummaryFold(definitions=define)
    for row in rows:
        found.add_row(row)
    return found.values


def test_the_last_value_stands_and_nested_values_are_dotted() -> None:
    assert fold({"a": 1, "b": {"c": 2}}, {"a": 3}) == {"a": 3, "b.c": 2}


def test_media_and_empty_dicts_stay_whole() -> None:
    image = {"_type": "image-file", "path": "x.png"}
    assert dict(flatten({"a": image, "b": {}, "c": {"d": image}})) == {"a": image, "b": {}, "c.d": image}


def test_none_keeps_a_metric_out() -> None:
    define = (MetricDefinition(name="a", summary=("none",)),)
    assert fold({"a": 1, "b": 2}, define=define) == {"b": 2}


def test_kinds_are_kept_side_by_side() -> None:
    define = (MetricDefinition(name="loss", summary=("min", "max", "mean", "first", "last", "best")),)
    found = fold({"loss": 3.0}, {"loss": 1.0}, {"loss": 2.0}, define=define)
    expected = {"min": 1.0, "max": 3.0, "mean": 2.0, "first": 3.0, "last": 2.0, "best": 1.0}
    assert found == {"loss": expected}


def test_best_follows_the_goal() -> None:
    define = (MetricDefinition(name="acc", summary=("best",), goal="maximize"),)
    assert fold({"acc": 0.5}, {"acc": 0.9}, {"acc": 0.7}, define=define) == {"acc": {"best": 0.9}}


def test_nan_is_left_out_of_min_max_and_mean_but_is_the_last() -> None:
    define = (MetricDefinition(name="a", summary=("min", "mean", "last")),)
    found = fold({"a": 4.0}, {"a": math.nan}, define=define)["a"]
    assert isinstance(found, dict)
    assert (found["min"], found["mean"]) == (4.0, 4.0)
    assert math.isnan(found["last"])


def test_the_longest_glob_that_matches_holds_and_an_own_definition_goes_before() -> None:
    define = (
        MetricDefinition(name="*", summary=("none",)),
        MetricDefinition(name="val/*", summary=("max",)),
        MetricDefinition(name="val/own", summary=("min",)),
    )
    found = fold({"val/a": 1, "val/own": 2, "x": 3}, {"val/a": 0, "val/own": 1}, define=define)
    assert found == {"val/a": {"max": 1}, "val/own": {"min": 1}}


def test_what_is_set_by_hand_stands_until_the_metric_is_logged_again() -> None:
    found = SummaryFold()
    found.add_row({"a": 1})
    found.set({"a": 10, "b": {"c": 1}})
    assert found.values == {"a": 10, "b": {"c": 1}}
    found.add_row({"a": 2})
    found.set({}, removed=("b", "never there"))
    assert found.values == {"a": 2}


@given(st.lists(st.floats(width=32) | st.integers(-1_000, 1_000) | st.booleans() | st.text(), min_size=1))
def test_facts_of_single_values_fold_like_the_values(values: list[object]) -> None:
    define = (MetricDefinition(name="a", summary=("min", "max", "last", "first")),)
    by_row = SummaryFold(definitions=define)
    by_fact = SummaryFold(definitions=define)
    for value in values:
        by_row.add_row({"a": value})
        by_fact.add("a", facts_of(value))
    assert repr(by_row.values) == repr(by_fact.values)


@given(st.lists(st.integers(-1_000, 1_000), min_size=1), st.integers(1, 5))
def test_a_column_may_be_folded_in_pieces_of_any_length(values: list[int], size: int) -> None:
    kinds = ("min", "max", "mean", "last", "first", "best")
    define = (MetricDefinition(name="a", summary=kinds),)
    rows: list[dict[str, object]] = [{"a": value} for value in values]
    whole = fold(*rows, define=define)
    pieces = SummaryFold(definitions=define)
    for start in range(0, len(values), size):
        piece = values[start : start + size]
        facts = ColumnFacts(
            first=piece[0], last=piece[-1], count=len(piece), min=min(piece), max=max(piece), sum=sum(piece)
        )
        pieces.add("a", facts)
    assert pieces.values == whole
