"""The paired bootstrap: refusals, degenerate cases, agreement with SciPy, coverage, the null."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from weighbridge.errors import InvalidInput
from weighbridge.evaluation.statistics import MAX_DISTINCT, MAX_RESAMPLES, compare_rows, paired_bootstrap


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [
        ([1.0, 2.0], [1.0], "cannot be paired"),
        ([1.0], [2.0], "needs 2"),
        ([1.0, np.nan, 2.0], [1.0, 2.0, np.inf], "needs 2"),
        ([[1.0, 2.0]], [[1.0, 2.0]], "one value per example"),
    ],
)
def test_what_cannot_be_paired_is_refused(a: list[float], b: list[float], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        paired_bootstrap(a, b, seed=0)


def test_arguments_out_of_bounds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="resamples"):
        paired_bootstrap([1, 2], [2, 3], resamples=99, seed=0)
    with pytest.raises(InvalidInput, match="resamples"):
        paired_bootstrap([1, 2], [2, 3], resamples=MAX_RESAMPLES + 1, seed=0)
    with pytest.raises(InvalidInput, match="confidence"):
        paired_bootstrap([1, 2], [2, 3], confidence=1.0, seed=0)
    with pytest.raises(InvalidInput, match="seed"):
        paired_bootstrap([1, 2], [2, 3], seed=-1)


def test_equal_models_differ_by_nothing() -> None:
    result = paired_bootstrap([0.1, 0.5, 0.9], [0.1, 0.5, 0.9], seed=0)
    assert (result.delta, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_a_constant_gain_has_the_smallest_p_value_there_is_and_it_is_not_zero() -> None:
    result = paired_bootstrap([0, 0, 0, 0], [1, 1, 1, 1], resamples=999, seed=0)
    assert (result.delta, result.p_value) == (1.0, 1 / 1000)


def test_pairs_that_are_not_finite_are_dropped_and_counted() -> None:
    result = paired_bootstrap([1, np.nan, 3, 4, 5], [2, 2, np.nan, 5, np.inf], seed=0)
    assert (result.n, result.dropped, result.dropped_b) == (2, 3, 2)


def few_values(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return (generator.random(n) < 0.8).astype(float), (generator.random(n) < 0.85).astype(float)


def many_values(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    a = generator.standard_normal(n)
    return a, a + 0.1 + generator.exponential(1.0, n) - 1.0


@pytest.mark.parametrize("make", [few_values, many_values])
@pytest.mark.parametrize("n", [30, 700])
def test_the_interval_agrees_with_scipys(
    make: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]], n: int
) -> None:
    a, b = make(np.random.default_rng(n), n)
    ours = paired_bootstrap(a, b, resamples=20_000, seed=1)
    theirs = stats.bootstrap(
        (b - a,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2), batch=500
    )
    # Differences of 0/1 values lie on a lattice: an end may fall on the next point of it.
    step = 1 / n if make is few_values else 0.0
    slack = 0.08 * float(np.std(b - a) / np.sqrt(n)) + step
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=slack)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=slack)
    assert ours.check_p_value == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert ours.p_value == pytest.approx(ours.check_p_value, abs=0.05 + 3 * step)


def test_blocks_and_a_remainder_draw_as_a_plain_bootstrap_does() -> None:
    generator = np.random.default_rng(5)
    d = generator.exponential(1.0, 3 * 256 + 17)
    assert np.unique(d).size > MAX_DISTINCT
    ours = paired_bootstrap(np.zeros(d.size), d, resamples=20_000, confidence=0.9, seed=3)
    means = d[generator.integers(0, d.size, size=(20_000, d.size))].mean(axis=1)
    half = (ours.high - ours.low) / 2
    assert half == pytest.approx((np.quantile(means, 0.95) - np.quantile(means, 0.05)) / 2, rel=0.03)


@pytest.mark.parametrize("make", [few_values, many_values])
def test_the_same_seed_gives_the_same_bits_whatever_the_cores(
    make: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make(np.random.default_rng(0), 1_000)
    one = paired_bootstrap(a, b, seed=4)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert paired_bootstrap(a, b, seed=4) == one
    assert paired_bootstrap(a, b, seed=5) != one


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(11)
    hits = 0
    for trial in range(300):
        d = generator.exponential(1.0, 60) - 1.0
        result = paired_bootstrap(np.zeros(60), d, resamples=600, confidence=0.9, seed=trial)
        hits += result.low <= 0 <= result.high
    assert 0.83 <= hits / 300 <= 0.96


def test_the_p_value_is_about_even_when_nothing_differs() -> None:
    generator = np.random.default_rng(12)
    values = [
        paired_bootstrap(np.zeros(80), generator.standard_normal(80), resamples=400, seed=trial).p_value
        for trial in range(300)
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.001
    assert min(values) > 0


def test_a_median_is_taken_too() -> None:
    generator = np.random.default_rng(0)
    a = generator.standard_normal(201)
    b = a + 1 + 0.1 * generator.standard_normal(201)
    result = paired_bootstrap(a, b, statistic="median", resamples=500, seed=0)
    assert result.delta == pytest.approx(np.median(b) - np.median(a))
    assert result.low <= result.delta <= result.high and result.p_value < 0.05


def rows(ids: list[object], **columns: list[object]) -> dict[str, list[object]]:
    return {"example_id": ids, **columns}


@pytest.mark.parametrize(
    ("baseline", "candidate", "problem"),
    [
        (rows([1, 1], m=[0, 1]), rows([1, 2], m=[0, 1]), "twice"),
        (rows([1, None], m=[0, 1]), rows([1, 2], m=[0, 1]), "Row 1"),
        (rows([1, 2], m=[0, 1]), rows([2, 3], m=[0, 1]), "share 1"),
        ({"m": [0, 1]}, rows([1, 2], m=[0, 1]), "no column"),
        (rows([1, 2], m=[0]), rows([1, 2], m=[0, 1]), "differ in length"),
        (rows([[1], [2]], m=[0, 1]), rows([1, 2], m=[0, 1]), "cannot be paired"),
    ],
)
def test_rows_that_cannot_be_paired_by_id_are_refused(
    baseline: dict[str, list[object]], candidate: dict[str, list[object]], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        compare_rows(baseline, candidate)


def test_rows_are_paired_by_id_in_any_order_and_the_rest_is_counted() -> None:
    baseline = [{"example_id": i, "correct": i % 2 == 0, "label": "a"} for i in range(10)]
    candidate = [{"example_id": np.int64(i), "correct": True, "label": "b"} for i in reversed(range(1, 12))]
    found = compare_rows(baseline, candidate)
    assert (found.paired, found.only_baseline, found.only_candidate) == (9, 1, 2)
    [interval] = found.intervals
    assert interval.metric == "correct" and interval.delta == pytest.approx(5 / 9)


def test_columns_and_lists_of_rows_are_the_same() -> None:
    columns = rows(["a", "b", "c"], m=[0.1, None, 0.3])
    listed = [{"example_id": i, "m": m} for i, m in zip("abc", [0.1, None, 0.3], strict=True)]
    other = rows(["a", "b", "c"], m=[0.2, 0.4, 0.9])
    assert compare_rows(columns, other) == compare_rows(listed, other)
    assert compare_rows(columns, other).intervals[0].dropped == 1
