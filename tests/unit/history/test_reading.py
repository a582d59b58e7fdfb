"""Reading gives what the rows mean, however they were cut into chunks and segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.history.stores import (
    RowTuple,
    Segment,
    chunk_of,
    histories,
    is_same,
    merged,
    rows_of,
    segment_of,
)
from weighbridge.errors import InvalidInput
from weighbridge.storage.history import Part, iter_rows, read_column, read_columns, sample_rows

bound = st.none() | st.integers(-25, 25)
History = tuple[list[RowTuple], list[Part]]


def test_a_metric_nobody_logged_is_empty() -> None:
    column = read_column([chunk_of(rows_of([1], a=[1.0]))], "b")
    assert len(column) == 0 and len(column.values) == 0
    assert len(read_column([], "a")) == 0


@pytest.mark.parametrize("count", [0, 1_000_001])
def test_batches_and_samples_out_of_range_are_refused(count: int) -> None:
    with pytest.raises(InvalidInput, match="out of range"):
        next(iter_rows([], batch_rows=count))
    with pytest.raises(InvalidInput, match="out of range"):
        sample_rows([], ["a"], samples=count)
    with pytest.raises(InvalidInput, match="No metric"):
        sample_rows([], [])


@given(histories(), bound, bound)
@settings(max_examples=150)
def test_rows_are_merged_by_step_with_the_latest_value(
    history: History, low: int | None, high: int | None
) -> None:
    rows, parts = history
    read = [row for batch in iter_rows(parts, step_min=low, step_max=high, batch_rows=7) for row in batch]
    expected = [
        row
        for step, row in merged(rows).items()
        if (low is None or step >= low) and (high is None or step <= high)
    ]
    assert len(read) == len(expected)
    for got, wanted in zip(read, expected, strict=True):
        assert got.keys() == wanted.keys()
        assert all(is_same(got[name], wanted[name]) for name in wanted), (got, wanted)


@given(histories(), bound, bound)
@settings(max_examples=100)
def test_a_column_is_sorted_with_one_value_a_step(
    history: History, low: int | None, high: int | None
) -> None:
    rows, parts = history
    column = read_column(parts, "a", step_min=low, step_max=high, with_times=True)
    expected = {
        step: row
        for step, row in merged(rows).items()
        if "a" in row and (low is None or step >= low) and (high is None or step <= high)
    }
    assert column.steps.tolist() == list(expected)
    assert column.times_s is not None
    assert column.times_s.tolist() == [row["_timestamp"] for row in expected.values()]
    for got, row in zip(column.values.tolist(), expected.values(), strict=True):
        assert is_same(got, row["a"])


@given(histories(only_floats=True))
@settings(max_examples=60)
def test_joined_columns_hold_the_steps_that_have_all(history: History) -> None:
    rows, parts = history
    joined = read_columns(parts, ["a", "b", "_step", "_timestamp"])
    expected = [row for row in merged(rows).values() if "a" in row and "b" in row]
    assert joined.steps.tolist() == joined.values["_step"].tolist() == [row["_step"] for row in expected]
    assert joined.values["_timestamp"].tolist() == [row["_timestamp"] for row in expected]
    for name in "ab":
        assert all(
            is_same(got, row[name]) for got, row in zip(joined.values[name].tolist(), expected, strict=True)
        )


@pytest.mark.parametrize("make", [chunk_of, segment_of])
def test_kinds_stay_what_they_were(make: Callable[[list[RowTuple]], Part]) -> None:
    part = make(
        rows_of(range(3), i=[1, 2**63 - 1, -3], b=[True, False, True], s=["x", "", "ü"], f=[1.0, 2.0, 3.0])
    )
    assert [read_column([part], name).kind for name in "ibsf"] == ["i", "b", "s", "f"]
    assert read_column([part], "i").values.dtype == np.int64
    assert read_column([part], "i").values.tolist() == [1, 2**63 - 1, -3]
    assert read_column([part], "b").values.tolist() == [True, False, True]
    assert read_column([part], "s").values.tolist() == ["x", "", "ü"]
    assert read_column([part], "_step").kind == "i"


def test_ints_join_floats_only_where_that_is_exact() -> None:
    floats = chunk_of(rows_of([0], a=[0.5]))
    assert read_column([floats, chunk_of(rows_of([1], a=[2**60]))], "a").values.tolist() == [0.5, 2.0**60]
    mixed = read_column([floats, chunk_of(rows_of([1], a=[2**60 + 1]))], "a")
    assert mixed.kind == "j" and mixed.values.tolist() == [0.5, 2**60 + 1]
    assert read_column([floats, chunk_of(rows_of([1], a=[2**63 - 1]))], "a").kind == "j"


def test_a_later_part_overrides_an_earlier_one_in_the_middle() -> None:
    old = segment_of(rows_of(range(10), a=[float(k) for k in range(10)]))
    new = chunk_of(rows_of([4, 5], a=[-4.0, -5.0]))
    assert read_column([old, new], "a").values.tolist() == [0, 1, 2, 3, -4, -5, 6, 7, 8, 9]
    assert read_column([new, old], "a").values.tolist() == [float(k) for k in range(10)]


def test_named_rows_are_only_those_that_have_one_of_the_names() -> None:
    part = chunk_of(rows_of(range(4), a=[1.0, ..., ..., 2.0], b=[..., 3.0, ..., ...], c=[1, 1, 1, 1]))
    (batch,) = iter_rows([part], ["b", "a", "_step"])
    assert [row["_step"] for row in batch] == [0, 1, 3]
    assert batch[1] == {"_step": 1, "_timestamp": 101.0, "b": 3.0}


def test_batches_hold_as_many_rows_as_asked_for_across_parts() -> None:
    parts = [chunk_of(rows_of(range(k, k + 3), a=[1.0] * 3)) for k in range(0, 30, 3)]
    assert [len(batch) for batch in iter_rows(parts, batch_rows=8)] == [8, 8, 8, 6]


def test_samples_are_even_and_only_of_rows_with_all_names() -> None:
    part = chunk_of(rows_of(range(100), a=list(range(100)), b=[k if k % 2 else ... for k in range(100)]))
    sampled = sample_rows([part], ["_step", "a", "b"], samples=5)
    assert [row["_step"] for row in sampled] == [1, 25, 49, 75, 99]
    assert all(row["a"] == row["b"] == row["_step"] for row in sampled)
    assert len(sample_rows([part], ["b"], samples=1000)) == 50
    assert sample_rows([part], ["a", "zzz"]) == []
    assert sample_rows([part], ["a"], samples=1, step_min=7) == [{"a": 7}]


def long_segment(count: int = 150_000) -> Segment:
    chunks = []
    for start in range(0, count, 50_000):
        steps = range(start, start + 50_000)
        cells: list[object] = [float(step) for step in steps]
        sparse: list[object] = [step if step % 1000 == 0 else ... for step in steps]
        chunks.append(chunk_of(rows_of(steps, a=cells, val=sparse)))
    return Segment(chunks)


LONG = long_segment()


def test_a_narrow_range_reads_only_its_pages() -> None:
    LONG.ranges.clear()
    column = read_column([LONG.part], "a", step_min=140_000, step_max=140_009)
    assert column.steps.tolist() == column.values.tolist() == list(range(140_000, 140_010))
    (read,) = LONG.ranges
    assert read[1] < 200_000


def test_a_sparse_column_over_pages_keeps_its_steps() -> None:
    column = read_column([LONG.part], "val")
    assert column.steps.tolist() == column.values.tolist() == list(range(0, 150_000, 1000))
    assert column.values.dtype == np.int64


def test_rows_of_many_pages_come_once_each() -> None:
    steps = [row["_step"] for batch in iter_rows([LONG.part], ["val"], step_min=65_000) for row in batch]
    assert steps == list(range(65_000, 150_000, 1000))


def test_rows_of_many_overlapping_parts_come_once_each() -> None:
    tail = chunk_of(rows_of([149_999, 3, 150_005], a=[-1.0, -2.0, -3.0]))
    count = 0
    for batch in iter_rows([LONG.part, tail], ["a"]):
        count += len(batch)
        for row in batch:
            expected = {149_999: -1.0, 3: -2.0, 150_005: -3.0}.get(row["_step"], row["_step"])  # type: ignore[call-overload]  # steps are ints
            assert row["a"] == expected
    assert count == 150_001
