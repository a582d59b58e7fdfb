"""What one evaluation of a model version found: claims, results, checks, causes, comparison, verdict.

One job: the records, how a verdict follows from checks, and the report's own short text. The rules that
fill the records live beside it: `reproduction` (claim against measurement), `checks` and `safe_files`,
`causes`, `comparison`. Nothing here reads a file, a clock or a store.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import Self, TypeVar

import msgspec

from weighbridge.domain.comparison import Comparison
from weighbridge.domain.exact_json import decode_exact, encode_exact
from weighbridge.errors import InvalidInput, VerdictFailed

Scalar = bool | int | float | str | None
"""A value that can be compared. None means that there is no value."""


class Tolerance(msgspec.Struct, frozen=True, gc=False):
    """How far a measured value may lie from the claimed one: |measured - claimed| <= atol + rtol * |claimed|.

    The rule of `numpy.isclose` with the claim as its reference `b`, so it is not symmetric on purpose.
    The defaults are argued in docs/design/0005-evaluation.md: 1e-6 lets float32 rounding through and still
    sees one changed example in a million; 1e-9 lets a claim of exactly zero through.
    """

    rtol: float = 1e-6
    atol: float = 1e-9

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            try:
                is_usable = math.isfinite(value) and value >= 0
            except TypeError:  # records are not checked by type when made in Python
                is_usable = False
            if not is_usable:
                raise InvalidInput(
                    f"Tolerance {name}={value!r} is not a finite number of 0 or more.",
                    hint="Give a small number such as 1e-6, or 0 for an exact match.",
                )

    def allows(self, reference: float) -> float:
        """The largest allowed absolute difference from `reference`."""
        return self.atol + self.rtol * abs(reference)


DEFAULT_TOLERANCE = Tolerance()


class Outcome(enum.StrEnum):
    """What became of one claim."""

    REPRODUCED = "reproduced"
    DRIFTED = "drifted"
    MISSING = "missing"
    NOT_COMPARABLE = "not_comparable"


class Verdict(enum.StrEnum):
    """What a check, or all checks together, say. Only `passed` opens a gate."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class CheckKind(enum.StrEnum):
    """Which rule a check applied."""

    REPRODUCES = "reproduces"
    THRESHOLD = "threshold"
    NO_REGRESSION = "no_regression"
    SAFE_FILES = "safe_files"


class CauseKind(enum.StrEnum):
    """What kind of difference a cause is, in the order of `causes.BASE_SCORES`."""

    CLAIM = "claim"
    DATASET = "dataset"
    MODEL = "model"
    CONFIG = "config"
    METRIC_DEFINITION = "metric_definition"
    SCORER = "scorer"
    PACKAGE = "package"
    PRECISION = "precision"
    SEED = "seed"
    PYTHON = "python"
    HARDWARE = "hardware"
    OS = "os"


class ClaimSource(enum.StrEnum):
    """Where the producer recorded a claim."""

    SUMMARY = "summary"
    HISTORY = "history"


class Claim(msgspec.Struct, frozen=True, gc=False):
    """One value the producer recorded for the version; it may be a media record. `step` is for history."""

    name: str
    value: object
    source: ClaimSource = ClaimSource.SUMMARY
    step: int | None = None


class MetricResult(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One claim beside its fresh measurement.

    difference: measured - claimed, None where that means nothing. relative_difference: |difference| /
    |claimed|, None as well when the claim is 0 or not finite. note: why, when the outcome needs a reason.
    """

    claimed_name: str
    measured_name: str
    claimed: Scalar
    measured: Scalar
    difference: float | None
    relative_difference: float | None
    tolerance: Tolerance
    outcome: Outcome
    source: ClaimSource = ClaimSource.SUMMARY
    step: int | None = None
    note: str = ""

    @property
    def excess(self) -> float:
        """How many times the allowed difference it is; above 1 means drift. Infinite where unmeasurable."""
        if self.outcome is Outcome.REPRODUCED and self.difference is None:
            return 0.0
        if self.difference is None or not isinstance(self.claimed, (int, float)):
            return math.inf
        allowed = self.tolerance.allows(_as_float(self.claimed)) if math.isfinite(self.difference) else 0.0
        if allowed > 0:
            return abs(self.difference) / allowed
        return 0.0 if self.difference == 0 else math.inf


class UncheckedClaim(msgspec.Struct, frozen=True):
    """A recorded value that no measurement was held against, and why: so that no claim escapes unseen."""

    name: str
    value: Scalar
    reason: str


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One rule with its outcome, a sentence for people and the evidence for machines."""

    kind: CheckKind
    name: str
    outcome: Verdict
    message: str
    evidence: dict[str, object] = {}


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between producer and evaluation that may explain a mismatch.

    rank counts from 1, likeliest first; score is what it was ranked by. `producer` and `evaluation` hold
    the two values as text, None where one side has none.
    """

    kind: CauseKind
    subject: str
    rank: int
    score: float
    title: str
    producer: str | None
    evaluation: str | None
    why: str
    next_step: str
    evidence: dict[str, object] = {}


class ScorerIdentity(msgspec.Struct, frozen=True):
    """Which code scored the model. digest: BLAKE3 of the source text."""

    file: str
    function: str
    digest: str


class PinnedDataset(msgspec.Struct, frozen=True):
    """One dataset version the evaluation read. pinned: the very version the producer used."""

    name: str
    version: str
    digest: str
    pinned: bool
    note: str = ""


def decide(checks: Iterable[CheckResult]) -> Verdict:
    """Failed if any check failed, else inconclusive if any is or there is none, else passed."""
    outcomes = {check.outcome for check in checks}
    if Verdict.FAILED in outcomes:
        return Verdict.FAILED
    if not outcomes or Verdict.INCONCLUSIVE in outcomes:
        return Verdict.INCONCLUSIVE
    return Verdict.PASSED


def worst_first(results: Iterable[MetricResult]) -> list[MetricResult]:
    """What was not reproduced: drifted by `excess`, then not comparable, then missing; names break ties."""
    order = {Outcome.DRIFTED: 0, Outcome.NOT_COMPARABLE: 1, Outcome.MISSING: 2}
    return sorted(
        (result for result in results if result.outcome is not Outcome.REPRODUCED),
        key=lambda result: (order[result.outcome], -result.excess, result.claimed_name),
    )


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one evaluation found about one model version.

    model: the version's full reference. producer, evaluation: run paths `entity/project/run_id`. Times are
    seconds since 1970 UTC, as the caller passed them in. `verdict` must be `decide(checks)`: use `judge`.
    """

    model: str
    model_digest: str
    producer: str | None
    evaluation: str | None
    verdict: Verdict
    scorer: ScorerIdentity | None = None
    datasets: tuple[PinnedDataset, ...] = ()
    metrics: tuple[MetricResult, ...] = ()
    unchecked: tuple[UncheckedClaim, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    causes: tuple[Cause, ...] = ()
    comparison: Comparison | None = None
    started_at: float | None = None
    finished_at: float | None = None
    notes: tuple[str, ...] = ()
    format: int = 1

    def to_json(self, *, indent: int | None = None) -> str:
        """The report as JSON text that `from_json` reads back to an equal report; NaN as in `exact_json`."""
        return encode_exact(self, indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The report that `to_json` wrote. Raises InvalidInput, also for a format newer than this code."""
        report = decode_exact(text, cls)
        if report.format != 1:
            raise InvalidInput(
                f"The report has format {report.format}; this version of Weighbridge reads format 1.",
                hint="Upgrade Weighbridge to read it.",
            )
        return report

    def count(self, outcome: Outcome) -> int:
        """How many metrics had this outcome."""
        return sum(result.outcome is outcome for result in self.metrics)

    def raise_for_verdict(self) -> None:
        """Raise VerdictFailed, naming the worst metric and first cause, unless the verdict is `passed`."""
        if self.verdict is Verdict.PASSED:
            return
        cause = self.causes[0] if self.causes else None
        raise VerdictFailed(
            headline(self),
            hint=f"Likeliest cause: {cause.title}. {cause.next_step}" if cause else _hint_of(self.checks),
            details={
                "verdict": str(self.verdict),
                "model": self.model,
                "worst_metric": next((r.claimed_name for r in worst_first(self.metrics)), None),
                "cause": str(cause.kind) if cause else None,
            },
        )

    def __str__(self) -> str:
        lines = [headline(self)]
        lines += [f"  {sentence_of(result)}" for result in worst_first(self.metrics)[:5]]
        lines += [one_line(f"  cause {cause.rank}: {cause.title}") for cause in self.causes[:3]]
        return "\n".join(lines)


Report = TypeVar("Report", bound=EvaluationReport)


def judge(report: Report) -> Report:
    """The same report with the verdict that follows from its checks."""
    return msgspec.structs.replace(report, verdict=decide(report.checks))


def headline(report: EvaluationReport) -> str:
    """One sentence: version, verdict, how many claims held, and the worst metric or first failing check."""
    text = f"{one_line(report.model)}: {report.verdict}"
    if report.metrics:
        text += f", {report.count(Outcome.REPRODUCED)} of {len(report.metrics)} claims reproduced"
    if worst := worst_first(report.metrics):
        return f"{text}; worst: {sentence_of(worst[0])}"
    bad = [check for check in report.checks if check.outcome is report.verdict]
    if report.verdict is not Verdict.PASSED and bad:
        return f"{text}; {one_line(bad[0].message)}" + ("" if bad[0].message.endswith(".") else ".")
    if report.verdict is not Verdict.PASSED:
        return f"{text}; nothing was checked."
    return f"{text}."


def sentence_of(result: MetricResult) -> str:
    """One claim's outcome in words."""
    name = one_line(result.claimed_name)
    if result.measured_name != result.claimed_name:
        name += f" (measured as {one_line(result.measured_name)})"
    if result.outcome is Outcome.MISSING:
        return f"{name} was claimed as {format_value(result.claimed)} and not measured."
    if result.outcome is Outcome.NOT_COMPARABLE:
        return f"{name} cannot be compared: {result.note}."
    verb = "reproduced" if result.outcome is Outcome.REPRODUCED else "drifted"
    text = f"{name} {verb}: claimed {format_value(result.claimed)}, measured {format_value(result.measured)}"
    if result.difference is not None:
        text += f", difference {format_value(result.difference)}"
    if result.relative_difference is not None:
        text += f" ({result.relative_difference:.3g} relative)"
    return text + "."


def one_line(text: str) -> str:
    """The text with line breaks and control characters written out, so that no name can steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def format_value(value: object) -> str:
    """A value for people: floats with 6 significant digits where that is exact, else with 10."""
    if isinstance(value, float):
        short = f"{value:.6g}"
        return short if float(short) == value or not math.isfinite(value) else f"{value:.10g}"
    if value is None:
        return "-"
    return repr(value) if isinstance(value, str) else str(value)


def _hint_of(checks: tuple[CheckResult, ...]) -> str:
    open_checks = [check for check in checks if check.outcome is not Verdict.PASSED]
    if not open_checks:
        return "Name at least one claim or check, so that there is something to judge."
    return "Not passed: " + ", ".join(f"{check.kind} {check.name}" for check in open_checks[:5]) + "."


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
