"""Claims against fresh measurements: which recorded value is held against which metric, and whether it holds.

One job: name mapping, tolerances and the comparison of two values. It must not load a model, know a run, or
decide what a mismatch means: `causes` does that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from weighbridge.domain.evaluation import (
    DEFAULT_TOLERANCE,
    CheckKind,
    CheckResult,
    Claim,
    ClaimSource,
    MetricResult,
    Outcome,
    Scalar,
    Tolerance,
    UncheckedClaim,
    Verdict,
    format_value,
    worst_first,
)
from weighbridge.domain.name_mapping import NameGlob, NameMapping, refuse_too_many
from weighbridge.domain.summary import flatten
from weighbridge.errors import InvalidInput

Overrides = Mapping[str, Tolerance | Mapping[str, float]]
"""Tolerances by exact name or glob; a mapping holds `rtol`, `atol` or both, the rest is the call's."""

AGGREGATES = ("best", "last", "max", "min", "mean", "first")
"""Where `define_metric(summary=...)` made a dict, the first of these it holds is the claim for the metric."""

_MEDIA = object()
_NAMES_SHOWN = 10


def claims_of_summary(summary: Mapping[str, object]) -> list[Claim]:
    """Every value of a run's summary as a claim: nested names joined by dots, none that starts with `_`."""
    return [Claim(name, value) for name, value in flatten(summary) if not name.startswith("_")]


def claims_of_row(row: Mapping[str, object], step: int) -> list[Claim]:
    """Every value of one history row as a claim at its step: for a saved model that is not the last one."""
    return [
        Claim(name, value, ClaimSource.HISTORY, step)
        for name, value in flatten(row)
        if not name.startswith("_")
    ]


def reproduce_metrics(
    claims: Sequence[Claim],
    fresh: Mapping[str, object],
    *,
    names: Mapping[str, str] | None = None,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    per_metric: Overrides | None = None,
) -> list[MetricResult]:
    """One result per claim that is to be checked, in the order of `claims`.

    names: claimed name or glob -> measured name or glob; only claims it names are checked. Without it, a
    claim is checked when `fresh` measures the same name. Raises InvalidInput for a mapping that is
    ambiguous, malformed, or names nothing the producer recorded.
    """
    pairs = pair_claims(claims, fresh, names=names)
    tolerance_for = _tolerances(tolerance, per_metric or {})
    return [
        compare_values(claim, fresh, measured_name=name, tolerance=tolerance_for(claim.name, name))
        for claim, name in pairs
    ]


def pair_claims(
    claims: Sequence[Claim], fresh: Mapping[str, object], *, names: Mapping[str, str] | None = None
) -> list[tuple[Claim, str]]:
    """Each claim to be checked with the name its measurement goes by, as `reproduce_metrics` says."""
    if names is None:
        return _pair_by_name(claims, fresh)
    mapping = NameMapping(names)
    pairs = [(claim, target) for claim in claims if (target := mapping.find(claim.name, fresh)) is not None]
    mapping.refuse_unused([claim.name for claim in claims])
    return pairs


def _pair_by_name(claims: Sequence[Claim], fresh: Mapping[str, object]) -> list[tuple[Claim, str]]:
    """Claims whose own name is measured; and of `acc.max`, `acc.last`, ... the one that stands for `acc`."""
    recorded = {claim.name for claim in claims}
    kinds: dict[str, list[str]] = {}
    for claim in claims:
        base, _, kind = claim.name.rpartition(".")
        if kind in AGGREGATES and base in fresh and base not in recorded and claim.name not in fresh:
            kinds.setdefault(base, []).append(kind)
    standing = {f"{base}.{min(found, key=AGGREGATES.index)}": base for base, found in kinds.items()}
    pairs = []
    for claim in claims:
        name = claim.name if claim.name in fresh else standing.get(claim.name)
        if name is not None and claim.value is not None and scalar_of(claim.value) is not _MEDIA:
            pairs.append((claim, name))
    return pairs


def unchecked_claims(
    claims: Sequence[Claim], fresh: Mapping[str, object], results: Iterable[MetricResult]
) -> list[UncheckedClaim]:
    """The recorded values no result speaks of, with the reason: so that no claim escapes silently."""
    checked = {result.claimed_name for result in results}
    found = []
    for claim in claims:
        if claim.name in checked:
            continue
        value = scalar_of(claim.value)
        if value is _MEDIA or value is None:
            reason = "not a single value"
        elif claim.name in fresh:
            reason = "not named in `names`"
        else:
            reason = "not measured by the scorer"
        found.append(UncheckedClaim(claim.name, _as_scalar(value), reason))
    return found


def check_reproduces(
    results: Sequence[MetricResult], claims: Sequence[Claim], fresh: Mapping[str, object]
) -> CheckResult:
    """The check `reproduces`: failed when a metric drifted; inconclusive when one or all went uncompared."""
    bad = worst_first(results)
    counts = {str(outcome): sum(r.outcome is outcome for r in results) for outcome in Outcome}
    if not results:
        suggestion = suggest_names([claim.name for claim in claims], list(fresh))
        message = f"None of the {len(claims)} recorded values was measured under its name."
        if suggestion:
            message += f" Try names={suggestion!r}."
        elif fresh:
            more = f" and {len(fresh) - _NAMES_SHOWN} more" if len(fresh) > _NAMES_SHOWN else ""
            message += f" The scorer measured {', '.join(map(repr, sorted(fresh)[:_NAMES_SHOWN]))}{more}."
        outcome = Verdict.INCONCLUSIVE
    elif counts["drifted"]:
        outcome, message = Verdict.FAILED, f"{counts['drifted']} of {len(results)} claims drifted."
    elif bad:
        outcome = Verdict.INCONCLUSIVE
        message = (
            f"{len(bad)} of {len(results)} claims could not be compared, {bad[0].claimed_name} among them."
        )
    else:
        outcome, message = Verdict.PASSED, f"All {len(results)} claims were reproduced."
    return CheckResult(
        kind=CheckKind.REPRODUCES,
        name="claims",
        outcome=outcome,
        message=message,
        evidence={**counts, "worst": [result.claimed_name for result in bad[:10]]},
    )


def suggest_names(claimed: Sequence[str], measured: Sequence[str]) -> dict[str, str]:
    """A mapping such as {"final_*": "val_*"} that pairs the most claims, or {} when none pairs any.

    Only a hint for people: names are split at their first `_`, `/` or `.`, and ends must be equal.
    """
    ends: dict[str, list[str]] = {}
    for name in measured:
        head, end = _head_and_end(name)
        ends.setdefault(end, []).append(head)
    votes: dict[tuple[str, str], int] = {}
    for name in claimed:
        head, end = _head_and_end(name)
        for other in ends.get(end, []):
            if head != other:
                votes[head, other] = votes.get((head, other), 0) + 1
    if not votes:
        return {}
    head, other = min(votes, key=lambda pair: (-votes[pair], pair))
    return {f"{head}*": f"{other}*"}


def compare_values(
    claim: Claim, fresh: Mapping[str, object], *, measured_name: str, tolerance: Tolerance
) -> MetricResult:
    """The result for one claim. NaN equals NaN, an infinity itself; text and booleans must be equal."""
    claimed = scalar_of(claim.value)
    measured = scalar_of(fresh.get(measured_name))
    outcome, difference, note = _judge(claimed, measured, tolerance)
    relative = None
    if difference is not None and isinstance(claimed, (int, float)):
        reference = abs(_to_float(claimed))
        if 0 < reference < math.inf:
            relative = abs(difference) / reference
    return MetricResult(
        claimed_name=claim.name,
        measured_name=measured_name,
        claimed=_as_scalar(claimed),
        measured=_as_scalar(measured),
        difference=difference,
        relative_difference=relative,
        tolerance=tolerance,
        outcome=outcome,
        source=claim.source,
        step=claim.step,
        note=note,
    )


def _judge(claimed: object, measured: object, tolerance: Tolerance) -> tuple[Outcome, float | None, str]:
    if type(claimed) is float and type(measured) is float:  # nearly all of 10,000 metrics
        return _judge_numbers(claimed, measured, tolerance)
    if measured is None:
        return Outcome.MISSING, None, "the scorer returned no such metric"
    if claimed is None:
        return Outcome.NOT_COMPARABLE, None, "the producer recorded no value"
    if claimed is _MEDIA or measured is _MEDIA:
        side = "recorded" if claimed is _MEDIA else "measured"
        return Outcome.NOT_COMPARABLE, None, f"the {side} value is not a single number, text or boolean"
    if _is_number(claimed) and _is_number(measured):
        assert isinstance(claimed, (int, float)) and isinstance(measured, (int, float))
        return _judge_numbers(claimed, measured, tolerance)
    if type(claimed) is not type(measured):
        return Outcome.NOT_COMPARABLE, None, f"recorded {_kind(claimed)}, measured {_kind(measured)}"
    return (Outcome.REPRODUCED if claimed == measured else Outcome.DRIFTED), None, ""


def _judge_numbers(
    claimed: int | float, measured: int | float, tolerance: Tolerance
) -> tuple[Outcome, float | None, str]:
    if claimed == measured:
        return Outcome.REPRODUCED, 0.0, ""
    claim, fresh = _to_float(claimed), _to_float(measured)
    if math.isnan(claim) or math.isnan(fresh):
        both = math.isnan(claim) and math.isnan(fresh)
        return (
            (Outcome.REPRODUCED if both else Outcome.DRIFTED),
            None,
            "both are NaN" if both else "one is NaN",
        )
    difference = fresh - claim
    if math.isnan(difference):  # two integers past the range of a float, and not equal
        return Outcome.DRIFTED, None, "too large to subtract"
    # An infinite claim would allow any difference: rtol * inf is inf.
    if math.isinf(claim) or not abs(difference) <= tolerance.allows(claim):
        return Outcome.DRIFTED, difference, ""
    return Outcome.REPRODUCED, difference, ""


def scalar_of(value: object) -> object:
    """The value as bool, int, float, str or None (NumPy and torch scalars unwrapped), else a private mark."""
    if type(value) is float or value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value)
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        unwrapped: object = item()
        return unwrapped if isinstance(unwrapped, (bool, int, float, str)) else _MEDIA
    return _MEDIA


def _as_scalar(value: object) -> Scalar:
    return value if isinstance(value, (bool, int, float, str)) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    return "text" if isinstance(value, str) else "a number"


def _to_float(value: int | float) -> float:
    if type(value) is float:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _head_and_end(name: str) -> tuple[str, str]:
    match = re.search(r"[_/.]", name)
    return (name[: match.end()], name[match.end() :]) if match else ("", name)


def _tolerances(default: Tolerance, per_metric: Overrides) -> Callable[[str, str], Tolerance]:
    """(claimed, measured name) -> tolerance: exact names, then the most specific glob, first written."""
    exact = {name: _tolerance(name, value, default) for name, value in per_metric.items() if "*" not in name}
    globs = [
        (NameGlob(name), _tolerance(name, value, default))
        for name, value in per_metric.items()
        if "*" in name
    ]
    refuse_too_many(len(globs), "per_metric")
    globs.sort(key=lambda item: item[0].specificity, reverse=True)

    def find(claimed: str, measured: str) -> Tolerance:
        for name in (claimed, measured):
            if name in exact:
                return exact[name]
        for glob, tolerance in globs:
            if glob.matches(claimed) or glob.matches(measured):
                return tolerance
        return default

    return find


def _tolerance(name: str, value: object, default: Tolerance) -> Tolerance:
    if isinstance(value, Tolerance):
        return value
    if isinstance(value, Mapping) and value and set(value) <= {"rtol", "atol"}:
        return Tolerance(value.get("rtol", default.rtol), value.get("atol", default.atol))
    raise InvalidInput(
        f"per_metric: the tolerance {format_value(value)} of {name!r} cannot be read.",
        hint="Write {'rtol': 1e-3}, {'atol': 0.01}, or both; a bare number could mean either.",
    )
