"""Claims against measurements: tolerance, outcomes, name mapping, and what is left unchecked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.evaluation import Claim, ClaimSource, Outcome, Tolerance, Verdict
from weighbridge.domain.name_mapping import MAX_PATTERNS
from weighbridge.domain.reproduction import (
    Overrides,
    check_reproduces,
    claims_of_row,
    claims_of_summary,
    reproduce_metrics,
    suggest_names,
    unchecked_claims,
)
from weighbridge.errors import InvalidInput


def outcome_of(claimed: object, measured: object, tolerance: Tolerance | None = None) -> Outcome:
    fresh = {"m": measured}
    return reproduce_metrics(
        [Claim("m", claimed)], fresh, names={"m": "m"}, tolerance=tolerance or Tolerance()
    )[0].outcome


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
def test_a_tolerance_that_is_negative_or_not_finite_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="rtol"):
        Tolerance(rtol=value)


@pytest.mark.parametrize(
    ("claimed", "measured", "expected"),
    [
        (math.nan, math.nan, Outcome.REPRODUCED),
        (math.nan, 0.5, Outcome.DRIFTED),
        (0.5, math.nan, Outcome.DRIFTED),
        (math.inf, math.inf, Outcome.REPRODUCED),
        (math.inf, -math.inf, Outcome.DRIFTED),
        (math.inf, 1.0, Outcome.DRIFTED),
        (1.0, math.inf, Outcome.DRIFTED),
        (True, True, Outcome.REPRODUCED),
        (True, False, Outcome.DRIFTED),
        (True, 1, Outcome.NOT_COMPARABLE),
        ("high", "high", Outcome.REPRODUCED),
        ("high", "low", Outcome.DRIFTED),
        ("0.5", 0.5, Outcome.NOT_COMPARABLE),
        ("NaN", math.nan, Outcome.NOT_COMPARABLE),
        ({"_type": "image-file"}, 0.5, Outcome.NOT_COMPARABLE),
        (0.5, [0.5], Outcome.NOT_COMPARABLE),
        (None, 0.5, Outcome.NOT_COMPARABLE),
        (0.5, None, Outcome.MISSING),
        (2, 2.0, Outcome.REPRODUCED),
        (10**400, 10**400, Outcome.REPRODUCED),
        (10**400, 10**400 + 1, Outcome.DRIFTED),
        (10**400, 1, Outcome.DRIFTED),
        (0.0, 0.0, Outcome.REPRODUCED),
        (0.0, -0.0, Outcome.REPRODUCED),
        (0.25, np.float32(0.25), Outcome.REPRODUCED),
        (0.25, np.float64(0.25), Outcome.REPRODUCED),
        (0.25, np.array(0.25), Outcome.REPRODUCED),
        (0.25, np.array([0.25]), Outcome.NOT_COMPARABLE),
    ],
)
def test_outcomes(claimed: object, measured: object, expected: Outcome) -> None:
    assert outcome_of(claimed, measured) is expected


def test_the_defaults_let_float32_rounding_through_and_see_one_example_in_ten_thousand() -> None:
    assert outcome_of(0.913, float(np.float32(0.913))) is Outcome.REPRODUCED
    assert outcome_of(0.9130, 0.9131) is Outcome.DRIFTED


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(finite, finite, st.floats(0, 1), st.floats(0, 10))
def test_the_rule_is_that_of_numpy_isclose(claimed: float, measured: float, rtol: float, atol: float) -> None:
    with np.errstate(all="ignore"):
        close = bool(np.isclose(measured, claimed, rtol=rtol, atol=atol))
    expected = Outcome.REPRODUCED if close else Outcome.DRIFTED
    assert outcome_of(claimed, measured, Tolerance(rtol, atol)) is expected


def test_differences_are_measured_less_claimed() -> None:
    [result] = reproduce_metrics([Claim("m", -2.0)], {"m": -1.5})
    assert (result.difference, result.relative_difference) == (0.5, 0.25)
    [result] = reproduce_metrics([Claim("m", 0.0)], {"m": 1.0})
    assert (result.difference, result.relative_difference) == (1.0, None)


def test_tolerances_exact_names_win_over_globs_and_the_more_specific_glob_wins() -> None:
    claims = [Claim(name, 1.0) for name in ("loss/val", "loss/test", "loss/x/test", "acc")]
    overrides: Overrides = {
        "loss/*": {"atol": 0.1},
        "*": Tolerance(0.5, 0.0),
        "loss/*/test": {"rtol": 0.3},
        "loss/test": {"rtol": 0.2, "atol": 0.0},
    }
    results = reproduce_metrics(claims, {claim.name: 1.0 for claim in claims}, per_metric=overrides)
    found = {result.claimed_name: result.tolerance for result in results}
    assert found == {
        "loss/val": Tolerance(1e-6, 0.1),
        "loss/test": Tolerance(0.2, 0.0),
        "loss/x/test": Tolerance(0.3, 1e-9),
        "acc": Tolerance(0.5, 0.0),
    }


@pytest.mark.parametrize("value", [0.1, {"rtool": 1}, {}])
def test_a_tolerance_that_could_mean_two_things_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="'m'"):
        reproduce_metrics([Claim("m", 1.0)], {"m": 1.0}, per_metric={"m": value})  # type: ignore[dict-item]  # wrong on purpose


def pairs(names: dict[str, str], claimed: list[str], measured: list[str]) -> dict[str, str]:
    fresh: dict[str, object] = dict.fromkeys(measured, 1.0)
    results = reproduce_metrics([Claim(name, 1.0) for name in claimed], fresh, names=names)
    return {result.claimed_name: result.measured_name for result in results}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"final_*": "val"}, r"1 `\*`"),
        ({"final": "val_*"}, r"0 `\*`"),
        ({"a**b": "c**d"}, "side by side"),
        ({"*a*b*c*d*": "*a*b*c*d*"}, "at most 4"),
        ({"finale_*": "val_*"}, "matches none"),
        ({"final_accuracyy": "val_accuracy"}, "matches none"),
        ({"final_*": "val_*", "*loss_x": "test_*"}, "equally well"),
        ({"*_*": "*/*"}, "in two ways"),
        ({f"final_{i}*": f"v{i}*" for i in range(MAX_PATTERNS + 1)}, "at most 1000"),
    ],
)
def test_a_mapping_that_is_malformed_ambiguous_or_unused_is_refused(
    names: dict[str, str], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        pairs(names, ["final_loss_x", "final_accuracy"], ["val_accuracy"])


def test_a_refused_name_comes_with_the_nearest_ones() -> None:
    with pytest.raises(InvalidInput) as caught:
        pairs({"final_acuracy": "val"}, ["final_accuracy", "epochs"], [])
    assert "final_accuracy" in caught.value.hint


def test_names_map_the_same_wildcard_part() -> None:
    assert pairs({"final_*": "val_*"}, ["final_iou/car", "final_", "epochs"], []) == {
        "final_iou/car": "val_iou/car",
        "final_": "val_",
    }


def test_the_exact_name_wins_then_the_more_specific_glob() -> None:
    names = {"final_*": "val_*", "final_test_*": "test_*", "final_test_acc": "holdout"}
    claimed = ["final_test_acc", "final_test_loss", "final_loss"]
    assert pairs(names, claimed, []) == {
        "final_test_acc": "holdout",
        "final_test_loss": "test_loss",
        "final_loss": "val_loss",
    }


def test_two_readings_of_several_wildcards_are_settled_by_what_was_measured() -> None:
    assert pairs({"*_*": "*/*"}, ["a_b_c"], ["a_b/c"]) == {"a_b_c": "a_b/c"}
    assert pairs({"*_*": "*/*"}, ["a_b_c"], ["a/b_c"]) == {"a_b_c": "a/b_c"}


@given(
    st.text(min_size=1).filter(lambda text: "*" not in text), st.text().filter(lambda text: "*" not in text)
)
def test_one_wildcard_maps_any_text(part: str, head: str) -> None:
    assert pairs({f"{head}*": "x*y"}, [head + part], []) == {head + part: f"x{part}y"}


def test_a_mapped_claim_that_is_not_measured_is_missing_and_not_left_out() -> None:
    [result] = reproduce_metrics([Claim("final_acc", 0.9)], {}, names={"final_*": "val_*"})
    assert result.outcome is Outcome.MISSING


def test_without_names_equal_names_are_checked_and_the_rest_is_listed() -> None:
    claims = claims_of_summary(
        {"acc": 0.9, "_runtime": 3, "other": 1, "image": {"_type": "image-file"}, "val": {"f1": 0.8}}
    )
    fresh: dict[str, object] = {"acc": 0.9, "val.f1": 0.8, "image": 1, "new": 2}
    results = reproduce_metrics(claims, fresh)
    assert [result.claimed_name for result in results] == ["acc", "val.f1"]
    unchecked = {claim.name: claim.reason for claim in unchecked_claims(claims, fresh, results)}
    assert unchecked == {"other": "not measured by the scorer", "image": "not a single value"}


def test_of_a_summary_with_several_aggregates_one_stands_for_the_metric() -> None:
    claims = claims_of_summary({"acc": {"min": 0.1, "max": 0.9, "last": 0.8}, "loss": {"min": 0.2}})
    results = reproduce_metrics(claims, {"acc": 0.8, "loss": 0.2})
    assert [(r.claimed_name, r.measured_name, r.outcome) for r in results] == [
        ("acc.last", "acc", Outcome.REPRODUCED),
        ("loss.min", "loss", Outcome.REPRODUCED),
    ]


@given(
    st.dictionaries(st.text(max_size=8), st.floats() | st.text() | st.booleans(), max_size=8),
    st.dictionaries(st.text(max_size=8), st.floats(), max_size=8),
)
def test_every_claim_is_either_checked_or_listed(
    summary: dict[str, object], fresh: dict[str, object]
) -> None:
    claims = claims_of_summary(summary)
    results = reproduce_metrics(claims, fresh)
    seen = {r.claimed_name for r in results} | {u.name for u in unchecked_claims(claims, fresh, results)}
    assert seen == {claim.name for claim in claims}


def test_claims_of_a_history_row_carry_their_step() -> None:
    [claim] = claims_of_row({"acc": 0.5, "_step": 7}, 7)
    assert claim == Claim("acc", 0.5, ClaimSource.HISTORY, 7)


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        ({"a": 1.0, "b": 2.0}, Verdict.PASSED),
        ({"a": 1.0, "b": 2.1}, Verdict.FAILED),
        ({"a": 1.0}, Verdict.INCONCLUSIVE),
        ({"a": "x", "b": 2.1}, Verdict.FAILED),
        ({"a": "x", "b": 2.0}, Verdict.INCONCLUSIVE),
    ],
)
def test_the_check_fails_on_drift_and_is_inconclusive_on_what_could_not_be_compared(
    fresh: dict[str, object], expected: Verdict
) -> None:
    claims = [Claim("a", 1.0), Claim("b", 2.0)]
    results = reproduce_metrics(claims, fresh, names={"*": "*"})
    assert check_reproduces(results, claims, fresh).outcome is expected


def test_nothing_checked_is_inconclusive_and_suggests_a_mapping() -> None:
    claims = [Claim("final_acc", 1.0), Claim("final_loss", 1.0)]
    check = check_reproduces([], claims, {"val_acc": 1.0, "val_loss": 1.0})
    assert check.outcome is Verdict.INCONCLUSIVE
    assert "{'final_*': 'val_*'}" in check.message


def test_no_mapping_is_suggested_where_no_ends_are_alike() -> None:
    assert suggest_names(["a_x"], ["b_y"]) == {}
