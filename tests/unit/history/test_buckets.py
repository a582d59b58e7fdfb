"""Buckets keep every spike and are exact, whether made from values or from block statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.history.stores import RowTuple, Segment, chunk_of, histories, merged, rows_of
from weighbridge.errors import DamagedRecord, InvalidInput, SchemaTooNew
from weighbridge.storage.history import MAX_BUCKETS, Buckets, Part, bucket
from weighbridge.storage.history.blocks import block_statistics, pack_blocks, unpack_blocks

History = tuple[list[RowTuple], list[Part]]


def check_exact(found: Buckets, points: dict[int, float]) -> None:
    """Every bucket against the points between its own bounds; together the buckets hold every point."""
    steps = np.array(list(points), dtype=np.int64)
    values = np.array(list(points.values()), dtype=np.float64)
    assert int(found.count.sum()) == len(points)
    for k in range(len(found)):
        low, high = np.searchsorted(steps, (found.step_start[k], found.step_end[k]))
        inside = values[low : high + 1]
        known = inside[~np.isnan(inside)]
        assert steps[low] == found.step_start[k] and steps[high] == found.step_end[k]
        assert (found.count[k], found.nan_count[k]) == (len(inside), len(inside) - len(known))
        assert np.array_equal(found.last[k], inside[-1], equal_nan=True)
        if not len(known):
            assert math.isnan(found.min[k]) and math.isnan(found.max[k]) and math.isnan(found.mean[k])
            continue
        assert (found.min[k], found.max[k]) == (known.min(), known.max())
        if np.isfinite(known).all() and np.abs(known).max() < 1e300:
            scale = np.abs(known).max()
            assert abs(found.mean[k] - math.fsum(known / len(known))) <= 1e-12 * scale + 1e-300
            assert known.min() <= found.mean[k] <= known.max()


@pytest.mark.parametrize("buckets", [0, -1, MAX_BUCKETS + 1])
def test_a_number_of_buckets_out_of_range_is_refused(buckets: int) -> None:
    with pytest.raises(InvalidInput, match="out of range"):
        bucket([], "a", buckets=buckets)


@given(histories(only_floats=True), st.integers(1, 60))
@settings(max_examples=120)
def test_buckets_are_exact(history: History, buckets: int) -> None:
    rows, parts = history
    points = {step: row["a"] for step, row in merged(rows).items() if isinstance(row.get("a"), float)}
    found = bucket(parts, "a", buckets=buckets)
    assert len(found) == min(buckets, len(points))
    check_exact(found, {step: value for step, value in points.items() if isinstance(value, float)})


def test_a_metric_without_numbers_has_no_buckets() -> None:
    part = chunk_of(rows_of([1, 2], a=["x", "y"]))
    assert len(bucket([part], "a")) == len(bucket([part], "missing")) == len(bucket([], "a")) == 0


def test_of_mixed_values_the_numbers_count() -> None:
    part = chunk_of(rows_of(range(6), a=[1.0, None, 3, True, "x", 10**400]))
    found = bucket([part], "a", buckets=10)
    assert found.step_start.tolist() == [0, 2, 3, 5]
    assert found.last.tolist() == [1.0, 3.0, 1.0, math.inf]


def test_a_sum_beyond_float64_leaves_the_mean_within_its_bounds() -> None:
    found = bucket([chunk_of(rows_of(range(3), a=[1.7e308, 1.7e308, 1.6e308]))], "a", buckets=1)
    assert found.mean[0] == 1.7e308


STEP_GAP = 3


def long_history(count: int, *, seed: int = 5) -> dict[int, float]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=count)
    values[rng.integers(0, count, 200)] = np.nan
    values[1000:1600] = np.nan
    values[count // 3] = 1e6
    return dict(zip((np.arange(count) * STEP_GAP).tolist(), values.tolist(), strict=True))


def segments_of(points: dict[int, float], size: int) -> list[Segment]:
    items = list(points.items())
    return [
        Segment([chunk_of([(step, 0.0, {"a": value}) for step, value in items[start : start + size]])])
        for start in range(0, len(items), size)
    ]


POINTS = long_history(60_000)
SEGMENTS = segments_of(POINTS, 20_000)


def test_many_points_are_answered_from_block_statistics_alone() -> None:
    for segment in SEGMENTS:
        segment.ranges.clear()
    found = bucket([segment.part for segment in SEGMENTS], "a", buckets=20)
    assert [segment.ranges for segment in SEGMENTS] == [[], [], []]
    assert len(found) == 20 and found.max.max() == 1e6
    check_exact(found, POINTS)


@pytest.mark.parametrize(
    ("low", "high"), [(1, 3 * 59_000), (3 * 255, 3 * 256), (3 * 19_990, 3 * 40_010), (7, 8)]
)
def test_a_range_that_cuts_blocks_is_still_exact(low: int, high: int) -> None:
    found = bucket([segment.part for segment in SEGMENTS], "a", buckets=8, step_min=low, step_max=high)
    check_exact(found, {step: value for step, value in POINTS.items() if low <= step <= high})


def test_an_overlapping_tail_overrides_what_the_blocks_say() -> None:
    rows: list[RowTuple] = [
        (3 * 59_999, 0.0, {"a": -7e6}),
        (3 * 59_998 + 1, 0.0, {"a": 5.0}),
        (10**7, 0.0, {"a": 1.0}),
    ]
    for segment in SEGMENTS:
        segment.ranges.clear()
    found = bucket([*(segment.part for segment in SEGMENTS), chunk_of(rows)], "a", buckets=10)
    assert [bool(segment.ranges) for segment in SEGMENTS] == [False, False, True]
    points = POINTS | {step: 1.0 * float(str(values["a"])) for step, _, values in rows}
    check_exact(found, dict(sorted(points.items())))


def test_a_segment_without_stored_blocks_is_read() -> None:
    parts: list[Part] = []
    for segment in SEGMENTS:
        part = segment.part
        parts.append(type(part)(part.index, part.read_range, lambda _: None))
    check_exact(bucket(parts, "a", buckets=20), POINTS)


@given(st.lists(st.floats(width=64), max_size=600))
@settings(max_examples=30)
def test_packed_blocks_come_back(values: list[float]) -> None:
    steps = np.arange(len(values), dtype=np.int64) * 7
    blocks = block_statistics(steps, np.array(values, dtype=np.float64))
    back = unpack_blocks(pack_blocks(blocks))
    for name in blocks.__struct_fields__:
        assert np.array_equal(getattr(back, name), getattr(blocks, name), equal_nan=True), name


def test_damaged_or_newer_blocks_are_refused() -> None:
    data = SEGMENTS[0].blocks["a"]
    newer = data[:4] + (2).to_bytes(2, "little") + data[6:]
    with pytest.raises(SchemaTooNew):
        unpack_blocks(newer)
    for broken in (b"", data[:-1], data + b"\x00", data[:100] + bytes([data[100] ^ 1]) + data[101:]):
        with pytest.raises(DamagedRecord):
            unpack_blocks(broken)
