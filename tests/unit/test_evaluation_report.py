"""The report: its verdict, its text, its JSON."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation_examples import SNAPSHOT, drifted, report_of
from weighbridge.domain.causes import InputArtifact
from weighbridge.domain.evaluation import (
    CheckKind,
    CheckResult,
    Claim,
    EvaluationReport,
    Outcome,
    Verdict,
    decide,
    format_value,
    judge,
    worst_first,
)
from weighbridge.domain.exact_json import MAX_DEPTH, decode_exact, encode_exact
from weighbridge.domain.reproduction import reproduce_metrics
from weighbridge.errors import InvalidInput, VerdictFailed


def check(outcome: Verdict) -> CheckResult:
    return CheckResult(kind=CheckKind.THRESHOLD, name="x", outcome=outcome, message="m")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], Verdict.INCONCLUSIVE),
        ([Verdict.PASSED], Verdict.PASSED),
        ([Verdict.PASSED, Verdict.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED], Verdict.FAILED),
    ],
)
def test_the_verdict_is_that_of_the_worst_check(outcomes: list[Verdict], expected: Verdict) -> None:
    assert decide(map(check, outcomes)) is expected


def test_a_failed_verdict_raises_naming_the_worst_metric_and_the_first_cause() -> None:
    other = (InputArtifact("digits-split", "v2", "ff" * 32),)
    report = report_of(
        {"val_accuracy": 0.8, "val_loss": 0.31}, msgspec.structs.replace(SNAPSHOT, inputs=other)
    )
    with pytest.raises(VerdictFailed) as caught:
        report.raise_for_verdict()
    assert "worst: final_accuracy" in caught.value.message
    assert "dataset digits-split: producer used v1" in caught.value.hint
    assert caught.value.details["cause"] == "dataset"


def test_an_inconclusive_verdict_raises_and_says_what_was_not_decided() -> None:
    report = judge(msgspec.structs.replace(report_of({}), checks=(), metrics=(), causes=()))
    with pytest.raises(VerdictFailed, match="nothing was checked"):
        report.raise_for_verdict()


def test_a_passed_verdict_raises_nothing() -> None:
    report = report_of({"val_accuracy": 0.91, "val_loss": 0.3})
    assert report.verdict is Verdict.PASSED
    report.raise_for_verdict()
    assert "2 of 2 claims reproduced" in str(report)


def test_the_worst_is_what_exceeds_its_own_tolerance_most() -> None:
    claims = [Claim("wide", 1.0), Claim("tight", 1.0), Claim("gone", 1.0), Claim("text", "a")]
    results = reproduce_metrics(
        claims,
        {"wide": 1.4, "tight": 1.2, "text": 3},
        names={"*": "*"},
        per_metric={"wide": {"rtol": 0.3}},
    )
    assert [result.claimed_name for result in worst_first(results)] == ["tight", "wide", "text", "gone"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 0.1, -0.0])
def test_json_keeps_every_float(value: float) -> None:
    report = report_of({"val_accuracy": value, "val_loss": 0.3})
    again = EvaluationReport.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    measured = next(r.measured for r in again.metrics if r.claimed_name == "final_accuracy")
    assert repr(measured) == repr(value)


class Anything(msgspec.Struct):
    value: object


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "$float" not in repr(value))


@given(plain)
def test_json_keeps_every_value(value: object) -> None:
    assert repr(decode_exact(encode_exact(Anything(value)), Anything).value) == repr(value)


def test_json_that_is_too_deep_newer_or_no_report_is_refused() -> None:
    nested: object = 1
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    with pytest.raises(InvalidInput, match="deeper"):
        encode_exact(Anything(nested))
    with pytest.raises(InvalidInput, match="EvaluationReport"):
        EvaluationReport.from_json("{}")
    with pytest.raises(InvalidInput, match="format 2"):
        EvaluationReport.from_json(msgspec.structs.replace(report_of({}), format=2).to_json())


@given(st.floats(-1e300, 1e300))
def test_a_shown_value_is_close_to_the_value(value: float) -> None:
    assert float(format_value(value)) == pytest.approx(value, rel=1e-8)


def test_the_text_of_a_result_tells_close_values_apart() -> None:
    [result] = drifted(0.91, 0.910002)
    assert result.outcome is Outcome.DRIFTED
    assert format_value(result.claimed) != format_value(result.measured)
