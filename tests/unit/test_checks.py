"""Thresholds, no-regression and safe files: refusals first, then what passes, fails and stays open."""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.checks import (
    MAX_EXPRESSION_LENGTH,
    MAX_EXPRESSIONS,
    Operator,
    check_no_regression,
    check_thresholds,
    parse_threshold,
)
from weighbridge.domain.comparison import Comparison, Direction, Interval, compare_metrics, direction_of
from weighbridge.domain.evaluation import Tolerance, Verdict
from weighbridge.domain.run import MetricDefinition
from weighbridge.domain.safe_files import HEAD_SIZE_BYTES, FileHead, check_safe_files, judge_file
from weighbridge.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "expected a metric name"),
        (">= 0.5", 0, "expected a metric name"),
        ("acc", 3, "expected an operator"),
        ("acc 0.5", 4, "expected an operator"),
        ("acc = 0.5", 4, "expected an operator"),
        ("acc >=", 6, "expected a number"),
        ("acc >= high", 7, "expected a number"),
        ("acc >= nan", 7, "NaN"),
        ("acc >= 0.5 and more", 11, "expected nothing"),
        ("acc >= 0.5.3", 10, "expected nothing"),
        ("'acc >= 0.5", 0, "never closed"),
        ("'' >= 0.5", 0, "empty"),
    ],
)
def test_an_expression_that_cannot_be_read_is_refused_at_its_place(
    text: str, position: int, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        parse_threshold(text)
    assert caught.value.details["position"] == position
    assert caught.value.message.splitlines()[2].index("^") - 2 == position


def test_too_long_or_too_many_expressions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="too long"):
        parse_threshold("a" * (MAX_EXPRESSION_LENGTH + 1))
    with pytest.raises(InvalidInput, match="at most"):
        check_thresholds(["a > 1"] * (MAX_EXPRESSIONS + 1), {})


@pytest.mark.parametrize(
    ("text", "metric", "bound"),
    [
        ("val/iou.car>=.5", "val/iou.car", 0.5),
        ("  loss <= 1e-3 ", "loss", 1e-3),
        ("acc >= 95%", "acc", 0.95),
        ("'my metric' != -2.", "my metric", -2.0),
        ('"a \\"b\\" >= c" == +3E2', 'a "b" >= c', 300.0),
        ("loss < inf", "loss", math.inf),
    ],
)
def test_expressions(text: str, metric: str, bound: float) -> None:
    threshold = parse_threshold(text)
    assert (threshold.metric, threshold.bound) == (metric, bound)


@given(st.text(min_size=1, max_size=20), st.sampled_from(list(Operator)), st.floats(allow_nan=False))
def test_law_a_quoted_name_and_a_number_are_read_back(name: str, op: Operator, bound: float) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    threshold = parse_threshold(f'"{quoted}" {op} {bound!r}')
    assert (threshold.metric, threshold.operator, threshold.bound) == (name, op, bound)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("m >= 0.5", 0.5, Verdict.PASSED),
        ("m > 0.5", 0.5, Verdict.FAILED),
        ("m <= 0.5", 0.6, Verdict.FAILED),
        ("m < 0.5", 0.4, Verdict.PASSED),
        ("m == 3", 3, Verdict.PASSED),
        ("m != 3", 3, Verdict.FAILED),
        ("m != 3", math.nan, Verdict.FAILED),
        ("m < inf", math.inf, Verdict.FAILED),
        ("m >= 95%", 0.96, Verdict.PASSED),
        ("m >= 95%", 96.0, Verdict.PASSED),
        ("m >= 95%", 93.2, Verdict.INCONCLUSIVE),
        ("m >= 0.5", True, Verdict.INCONCLUSIVE),
        ("m >= 0.5", "high", Verdict.INCONCLUSIVE),
        ("other >= 0.5", 1.0, Verdict.INCONCLUSIVE),
        ("m >= 0.5", np.float32(0.75), Verdict.PASSED),
    ],
)
def test_thresholds(text: str, value: object, expected: Verdict) -> None:
    assert check_thresholds([text], {"m": value})[0].outcome is expected


def test_an_unmeasured_metric_is_answered_with_the_nearest_names() -> None:
    [check] = check_thresholds(["val_acuracy >= 0.5"], {"val_accuracy": 1.0, "zebra": 1})
    assert "val_accuracy" in check.message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("val_loss", Direction.LOWER),
        ("test/IoU.car", Direction.HIGHER),
        ("valAccuracy", Direction.HIGHER),
        ("top1_error", Direction.LOWER),
        ("macro_f1", Direction.HIGHER),
        ("error_score", Direction.UNKNOWN),
        ("width", Direction.UNKNOWN),
        ("RMSE", Direction.LOWER),
    ],
)
def test_direction_by_name(name: str, expected: Direction) -> None:
    assert direction_of(name)[0] is expected


def test_a_definition_wins_over_the_name() -> None:
    goal = MetricDefinition(name="loss", goal="maximize")
    assert direction_of("loss", goal) == (Direction.HIGHER, "goal maximize of define_metric")
    assert direction_of("width", MetricDefinition(name="width", summary=("min",)))[0] is Direction.LOWER


def compared(
    baseline: float,
    candidate: float,
    *,
    name: str = "acc",
    ends: tuple[float, float] | None = None,
    bad: int = 0,
    p_value: float = 0.01,
) -> Comparison:
    intervals: tuple[Interval, ...] = ()
    if ends:
        interval = Interval(
            metric=name,
            delta=candidate - baseline,
            low=ends[0],
            high=ends[1],
            confidence=0.95,
            p_value=p_value,
            n=100,
            resamples=1000,
            method="bca mean",
            seed=0,
            dropped=bad,
            dropped_candidate=bad,
        )
        intervals = (interval,)
    deltas = compare_metrics({name: baseline}, {name: candidate})
    return Comparison(baseline="v1", deltas=deltas, intervals=intervals)


def test_a_regression_needs_both_the_interval_and_the_p_value() -> None:
    outcomes = [
        check_no_regression(compared(0.9, 0.8, ends=(-0.2, -0.02), p_value=p_value))[0].outcome
        for p_value in (0.01, 0.27)
    ]
    assert outcomes == [Verdict.FAILED, Verdict.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (compared(0.9, 0.8), Verdict.FAILED),
        (compared(0.9, 0.95), Verdict.PASSED),
        (compared(0.9, 0.9), Verdict.PASSED),
        (compared(0.9, math.nan), Verdict.FAILED),
        (compared(math.nan, 0.9), Verdict.INCONCLUSIVE),
        (compared(0.3, 0.4, name="loss"), Verdict.FAILED),
        (compared(0.3, 0.2, name="loss"), Verdict.PASSED),
        (compared(3, 2, name="width"), Verdict.INCONCLUSIVE),
        (compared(0.9, 0.8, ends=(-0.15, -0.05)), Verdict.FAILED),
        (compared(0.9, 0.89, ends=(-0.03, 0.01)), Verdict.INCONCLUSIVE),
        (compared(0.9, 0.91, ends=(-0.03, 0.05)), Verdict.PASSED),
        (compared(0.3, 0.4, name="loss", ends=(0.05, 0.15)), Verdict.FAILED),
        (compared(0.9, 0.95, ends=(0.01, 0.09), bad=1), Verdict.INCONCLUSIVE),
        (Comparison(baseline="v1"), Verdict.INCONCLUSIVE),
    ],
)
def test_no_regression(comparison: Comparison, expected: Verdict) -> None:
    [check] = check_no_regression(comparison)
    assert check.outcome is expected


def test_a_margin_lets_a_small_loss_through_and_a_named_metric_must_be_there() -> None:
    [check] = check_no_regression(compared(0.90, 0.895), margin=Tolerance(rtol=0.0, atol=0.01))
    assert check.outcome is Verdict.PASSED
    [check] = check_no_regression(compared(0.9, 0.9), metrics=["gone"])
    assert check.outcome is Verdict.INCONCLUSIVE


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()[:HEAD_SIZE_BYTES]


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", b"x")
    return stream.getvalue()


def safetensors(length: int = 0x0280) -> bytes:
    return length.to_bytes(8, "little") + json.dumps({"w": {}}).encode()


NUMBERS, OBJECTS = npy(np.zeros(3)), npy(np.array([{}], dtype=object))
RECORD = npy(np.zeros(1, dtype=[("a", "f4"), ("b", "O")]))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (FileHead("model.pkl", b""), Verdict.FAILED),
        (FileHead("sub/MODEL.PT"), Verdict.FAILED),
        (FileHead("model.h5"), Verdict.FAILED),
        (FileHead("net.py", b"print()"), Verdict.FAILED),
        (FileHead("model.safetensors", pickle.dumps({"a": 1})), Verdict.FAILED),
        (FileHead("model.safetensors", zipped()), Verdict.FAILED),
        (FileHead("model.bin", pickle.dumps([1], protocol=2)), Verdict.FAILED),
        (FileHead("weights", b"\x7fELF\x02"), Verdict.FAILED),
        (FileHead("w.npy", OBJECTS), Verdict.FAILED),
        (FileHead("w.npy", RECORD), Verdict.FAILED),
        (FileHead("w.npy", b"something"), Verdict.FAILED),
        (FileHead("w.npz", zipped(), (("a.npy", OBJECTS),)), Verdict.FAILED),
        (FileHead("w.npz", zipped(), (("a.pkl", b""),)), Verdict.FAILED),
        (FileHead("w.npz", zipped()), Verdict.INCONCLUSIVE),
        (FileHead("w.npy"), Verdict.INCONCLUSIVE),
        (FileHead("w.zip", zipped()), Verdict.INCONCLUSIVE),
        (FileHead("model.bin", b"\x01\x02\x03"), Verdict.INCONCLUSIVE),
        (FileHead("model.bin"), Verdict.INCONCLUSIVE),
        (FileHead("w.npz", zipped(), (("a.npy", NUMBERS),)), Verdict.PASSED),
        (FileHead("w.npy", NUMBERS), Verdict.PASSED),
        (FileHead("model.safetensors", safetensors()), Verdict.PASSED),
        (FileHead("config.json", b"{}"), Verdict.PASSED),
        (FileHead("LICENSE", b"text"), Verdict.PASSED),
    ],
)
def test_files(file: FileHead, expected: Verdict) -> None:
    verdict, reason = judge_file(file)
    assert (verdict, bool(reason)) == (expected, True)


@given(st.integers(2, 5), st.recursive(st.integers() | st.text(), st.lists))
def test_law_a_pickle_is_found_under_any_name(protocol: int, value: object) -> None:
    head = pickle.dumps(value, protocol=protocol)[:HEAD_SIZE_BYTES]
    for name in ("a.json", "a.safetensors", "a.txt", "a"):
        assert judge_file(FileHead(name, head))[0] is Verdict.FAILED


def test_one_bad_file_fails_the_check_and_is_named() -> None:
    check = check_safe_files([FileHead("a.json", b"{}"), FileHead("b.pkl"), FileHead("c.dat")])
    assert check.outcome is Verdict.FAILED and check.message.startswith("b.pkl can run code")
    assert check.evidence["unrecognised"] == {"c.dat": "the format is not known"}


def test_a_file_its_owner_vouches_for_passes_and_is_listed() -> None:
    check = check_safe_files([FileHead("a.json", b"{}"), FileHead("old/b.h5")], allow=["old/*.h5"])
    assert check.outcome is Verdict.PASSED and check.evidence["allowed"] == ["old/b.h5"]


def test_no_files_at_all_prove_nothing() -> None:
    assert check_safe_files([]).outcome is Verdict.INCONCLUSIVE
