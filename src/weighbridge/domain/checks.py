"""Threshold and no-regression checks: an expression or a comparison in, results with evidence out.

One job: these two rules. `reproduction.check_reproduces` and `safe_files.check_safe_files` are the other two,
and `evaluation.decide` turns all of them into a verdict.
"""

from __future__ import annotations

import difflib
import enum
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from weighbridge.domain.comparison import Comparison, Direction, Interval, MetricDelta, interval_for
from weighbridge.domain.evaluation import (
    DEFAULT_TOLERANCE,
    CheckKind,
    CheckResult,
    Tolerance,
    Verdict,
    format_value,
)
from weighbridge.domain.reproduction import scalar_of
from weighbridge.errors import InvalidInput

MAX_EXPRESSION_LENGTH = 1_000
MAX_EXPRESSIONS = 1_000


class Operator(enum.StrEnum):
    """How a threshold compares the measured value (left) with its bound (right)."""

    AT_LEAST = ">="
    MORE_THAN = ">"
    AT_MOST = "<="
    LESS_THAN = "<"
    EQUAL = "=="
    NOT_EQUAL = "!="


_TESTS: dict[Operator, Callable[[float, float], bool]] = {
    Operator.AT_LEAST: operator.ge,
    Operator.MORE_THAN: operator.gt,
    Operator.AT_MOST: operator.le,
    Operator.LESS_THAN: operator.lt,
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
}

_SPACE = re.compile(r"\s*")
_BARE_NAME = re.compile(r"[^\s\"'<>=!]+")
_OPERATOR = re.compile(r">=|<=|==|!=|>|<")
_NUMBER = re.compile(
    r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)(%?)", re.IGNORECASE
)


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed expression. is_percent: written with `%`; `bound` is then the fraction, 95% being 0.95."""

    metric: str
    operator: Operator
    bound: float
    is_percent: bool = False
    text: str = ""


def parse_threshold(text: str) -> Threshold:
    """The threshold in an expression such as `val_accuracy >= 0.95`.

    metric operator number: a metric whose name holds spaces, quotes or any of `<>=!` stands in single or
    double quotes, where a backslash takes the next character as it is. The number may have an exponent, be
    `inf`, or end in `%`. Raises InvalidInput that shows the place.
    """
    if len(text) > MAX_EXPRESSION_LENGTH:
        raise InvalidInput(
            f"A check of {len(text)} characters is too long; at most {MAX_EXPRESSION_LENGTH} are read.",
            hint="Write one `metric operator number` per check.",
        )
    metric, at = _read_name(text, _skip(text, 0))
    at = _skip(text, at)
    found = _OPERATOR.match(text, at)
    if found is None:
        hint = "Write == to compare." if text[at : at + 1] == "=" else "Use one of >=, >, <=, <, ==, !=."
        raise _error(text, at, f"expected an operator after {metric!r}", hint)
    at = _skip(text, found.end())
    number = _NUMBER.match(text, at)
    if number is None:
        raise _error(
            text, at, f"expected a number after {found[0]}", "Write a number such as 0.95, 1e-3 or 95%."
        )
    end = _skip(text, number.end())
    if end != len(text):
        raise _error(text, end, "expected nothing after the number", "Write each check on its own.")
    value = float(number[0].rstrip("%"))
    if math.isnan(value):
        raise _error(text, at, "nothing compares with NaN", "Write a finite bound.")
    is_percent = bool(number[1])
    return Threshold(
        metric=metric,
        operator=Operator(found[0]),
        bound=value / 100 if is_percent else value,
        is_percent=is_percent,
        text=text.strip(),
    )


def check_thresholds(
    expressions: Sequence[str | Threshold], fresh: Mapping[str, object]
) -> list[CheckResult]:
    """One result per expression. An unmeasured metric is inconclusive; NaN satisfies no threshold."""
    if len(expressions) > MAX_EXPRESSIONS:
        raise InvalidInput(
            f"{len(expressions)} checks were given; at most {MAX_EXPRESSIONS} are read.", hint="Give fewer."
        )
    parsed = [parse_threshold(text) if isinstance(text, str) else text for text in expressions]
    return [_check_threshold(threshold, fresh) for threshold in parsed]


def _check_threshold(threshold: Threshold, fresh: Mapping[str, object]) -> CheckResult:
    label = threshold.text or f"{threshold.metric} {threshold.operator} {threshold.bound:g}"
    value = scalar_of(fresh.get(threshold.metric))
    if threshold.metric not in fresh:
        near = difflib.get_close_matches(threshold.metric, list(fresh)[:10_000], n=3, cutoff=0.5)
        names = ", ".join(near) or ", ".join(sorted(fresh)[:5]) or "nothing"
        outcome = Verdict.INCONCLUSIVE
        message = f"{threshold.metric} was not measured; the scorer returned {names}."
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        outcome = Verdict.INCONCLUSIVE
        message = f"{threshold.metric} is not a number, so it has no place in a threshold."
    else:
        outcome, message = _apply(threshold, value)
    return CheckResult(
        kind=CheckKind.THRESHOLD,
        name=label,
        outcome=outcome,
        message=message,
        evidence={
            "metric": threshold.metric,
            "operator": str(threshold.operator),
            "bound": threshold.bound,
            "measured": value if isinstance(value, (bool, int, float, str)) else None,
        },
    )


def _apply(threshold: Threshold, value: int | float) -> tuple[Verdict, str]:
    test = _TESTS[threshold.operator]
    if isinstance(value, float) and math.isnan(value):
        return Verdict.FAILED, f"{threshold.metric} is NaN, which satisfies no threshold."
    holds = test(value, threshold.bound)
    if threshold.is_percent and abs(value) > 1 and holds is not test(value, threshold.bound * 100):
        return Verdict.INCONCLUSIVE, (
            f"{threshold.metric} is {format_value(value)}: as fraction and as percentage it gives opposite "
            f"answers. Write the bound without %."
        )
    shown = f"{threshold.metric} is {format_value(value)}"
    bound = f"{threshold.operator} {format_value(threshold.bound)}"
    return (Verdict.PASSED, f"{shown}, {bound}.") if holds else (Verdict.FAILED, f"{shown}, not {bound}.")


def check_no_regression(
    comparison: Comparison, *, metrics: Collection[str] | None = None, margin: Tolerance = DEFAULT_TOLERANCE
) -> list[CheckResult]:
    """One result per judged metric: is the candidate no worse than the baseline by more than the margin?

    metrics: the ones to judge; None means all whose direction is known. Worse by more than the margin fails,
    save that an interval which still reaches a harmless value makes it inconclusive. Docs: design/0005.
    """
    by_name = {delta.name: delta for delta in comparison.deltas}
    wanted = (
        list(metrics)
        if metrics is not None
        else [name for name, delta in by_name.items() if delta.better is not Direction.UNKNOWN]
    )
    if not wanted:
        return [_regression(comparison, "metrics", Verdict.INCONCLUSIVE, _nothing_to_judge(comparison), {})]
    return [_check_regression(comparison, name, by_name.get(name), margin) for name in wanted]


def _check_regression(
    comparison: Comparison, name: str, delta: MetricDelta | None, margin: Tolerance
) -> CheckResult:
    if delta is None:
        message = f"{name} was not measured on both {comparison.baseline} and this version."
        return _regression(comparison, name, Verdict.INCONCLUSIVE, message, {})
    interval = interval_for(name, comparison.intervals)
    allowed = margin.allows(delta.baseline) if math.isfinite(delta.baseline) else 0.0
    evidence: dict[str, object] = {
        "baseline": delta.baseline,
        "candidate": delta.candidate,
        "delta": delta.delta,
        "allowed": allowed,
        "better": str(delta.better),
        "decided_by": delta.decided_by,
    }
    if interval is not None:
        evidence |= {"low": interval.low, "high": interval.high, "p_value": interval.p_value, "n": interval.n}
    outcome, message = _judge_delta(delta, interval, allowed)
    return _regression(comparison, name, outcome, message, evidence)


def _judge_delta(delta: MetricDelta, interval: Interval | None, allowed: float) -> tuple[Verdict, str]:
    values = f"{format_value(delta.candidate)} against {format_value(delta.baseline)}"
    if delta.better is Direction.UNKNOWN:
        return Verdict.INCONCLUSIVE, (
            f"{delta.name}: {values}, and it is not known which way is better ({delta.decided_by}). "
            f"Say so with define_metric(goal=...)."
        )
    if math.isnan(delta.candidate) and not math.isnan(delta.baseline):
        return Verdict.FAILED, f"{delta.name} is NaN, the baseline's is {format_value(delta.baseline)}."
    if math.isnan(delta.worsening):
        return Verdict.INCONCLUSIVE, f"{delta.name}: {values} cannot be compared."
    if interval is not None and interval.dropped_candidate:
        return Verdict.INCONCLUSIVE, (
            f"{delta.name}: {interval.dropped_candidate} examples have a finite value for the baseline only."
        )
    if delta.worsening <= allowed:
        return Verdict.PASSED, f"{delta.name}: {values}, no worse."
    if interval is None:
        return Verdict.FAILED, f"{delta.name}: {values}, worse by {format_value(delta.worsening)}."
    least = -interval.high if delta.better is Direction.HIGHER else interval.low
    shown = (
        f"{interval.confidence:.0%} interval {format_value(interval.low)} to {format_value(interval.high)}, "
        f"p {interval.p_value:.2g}"
    )
    # Both must say so: on few pairs the bias-corrected interval may leave zero out where the p-value is large.
    if least > allowed and interval.p_value < 1 - interval.confidence:
        return Verdict.FAILED, f"{delta.name}: {values}, worse beyond chance ({shown})."
    return Verdict.INCONCLUSIVE, f"{delta.name}: {values}, worse, but it may be chance ({shown})."


def _regression(
    comparison: Comparison, name: str, outcome: Verdict, message: str, evidence: dict[str, object]
) -> CheckResult:
    return CheckResult(
        kind=CheckKind.NO_REGRESSION,
        name=name,
        outcome=outcome,
        message=message,
        evidence={"baseline_version": comparison.baseline, "alias": comparison.alias, **evidence},
    )


def _nothing_to_judge(comparison: Comparison) -> str:
    if not comparison.deltas:
        return f"No metric was measured on both {comparison.baseline} and this version."
    return (
        f"Of {len(comparison.deltas)} metrics none is known to be better higher or lower. "
        "Say so with define_metric(goal=...)."
    )


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _read_name(text: str, at: int) -> tuple[str, int]:
    quote = text[at : at + 1]
    if quote and quote in "\"'":
        return _read_quoted(text, at)
    found = _BARE_NAME.match(text, at)
    if found is None:
        raise _error(text, at, "expected a metric name", "Write a check such as `val_accuracy >= 0.95`.")
    return found[0], found.end()


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    letters: list[str] = []
    at = start + 1
    while at < len(text):
        if text[at] == text[start]:
            if not letters:
                raise _error(text, start, "the metric name is empty", "Put the name between the quotes.")
            return "".join(letters), at + 1
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        letters.append(text[at])
        at += 1
    raise _error(text, start, "this quote is never closed", f"Close the name with {text[start]}.")


def _error(text: str, at: int, problem: str, hint: str) -> InvalidInput:
    shown = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
    return InvalidInput(
        f"The check {text.strip()!r} cannot be read: {problem}, at character {at + 1}.\n"
        f"  {shown}\n  {' ' * at}^\n",
        hint=hint,
        details={"expression": text, "position": at},
    )
