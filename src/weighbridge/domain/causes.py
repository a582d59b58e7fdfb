"""Why a number did not come out again: the differences between two runs, likeliest cause first.

One job: score, order and number what `differences` and `claim_evidence` find. The rule is written out for
people in docs/design/0005-evaluation.md; keep the two alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from weighbridge.domain.claim_evidence import claim_differences, unexplained_claim
from weighbridge.domain.differences import Difference, find_differences
from weighbridge.domain.evaluation import Cause, CauseKind, MetricResult, Outcome
from weighbridge.domain.snapshot import InputArtifact, MetricHistory, Snapshot

__all__ = ["BASE_SCORES", "MAX_CAUSES", "InputArtifact", "MetricHistory", "Snapshot", "drift_size", "explain"]

BASE_SCORES: dict[CauseKind, float] = {
    CauseKind.CLAIM: 110,
    CauseKind.DATASET: 100,
    CauseKind.MODEL: 90,
    CauseKind.CONFIG: 80,
    CauseKind.METRIC_DEFINITION: 70,
    CauseKind.SCORER: 60,
    CauseKind.PACKAGE: 50,
    CauseKind.PRECISION: 40,
    CauseKind.SEED: 30,
    CauseKind.PYTHON: 20,
    CauseKind.HARDWARE: 15,
    CauseKind.OS: 10,
}
"""What a difference of full weight scores, in the order in which numbers get out of step in practice."""

ROUNDING_SIZED = 1e-4
"""Up to this relative drift, precision and hardware count double: they change last digits."""

LARGE = 1e-2
"""Above this relative drift, precision, hardware and operating system count half: they cannot reach it."""

MAX_CAUSES = 100
"""Most causes that are kept; the unlikeliest are left out."""

_ORDER = {kind: place for place, kind in enumerate(BASE_SCORES)}
_DIGIT_CHANGING = frozenset((CauseKind.PRECISION, CauseKind.HARDWARE))
_NEVER_LARGE = frozenset((CauseKind.PRECISION, CauseKind.HARDWARE, CauseKind.OS))


def explain(producer: Snapshot, evaluation: Snapshot, results: Sequence[MetricResult]) -> list[Cause]:
    """The causes that may explain the drifted results, ranked from 1; at most MAX_CAUSES.

    With no drifted result it lists the plain differences. Runs that do not differ have no cause, unless a
    result drifted: then the claim itself is the cause. The order is total, and depends on the content only.
    """
    drifted = [result for result in results if result.outcome is Outcome.DRIFTED]
    found = claim_differences(producer, drifted)
    found += find_differences(producer, evaluation, results)
    if drifted and not any(difference.kind not in _NEVER_LARGE for difference in found):
        found.append(unexplained_claim(drifted))
    size = drift_size(drifted)
    scored = sorted(
        ((_score(difference, size), difference) for difference in found),
        key=lambda pair: (-pair[0], _ORDER[pair[1].kind], pair[1].subject, pair[1].title),
    )
    kept = scored[:MAX_CAUSES]
    return [_cause(difference, rank, score) for rank, (score, difference) in enumerate(kept, 1)]


def drift_size(drifted: Sequence[MetricResult]) -> float | None:
    """The largest relative difference of drifted results, infinite where one has none; None without any."""
    if not drifted:
        return None
    return max(
        result.relative_difference if result.relative_difference is not None else math.inf
        for result in drifted
    )


def _score(difference: Difference, size: float | None) -> float:
    score = BASE_SCORES[difference.kind] * difference.weight
    if size is not None and size <= ROUNDING_SIZED and difference.kind in _DIGIT_CHANGING:
        score *= 2
    if size is not None and size > LARGE and difference.kind in _NEVER_LARGE:
        score /= 2
    return round(score, 3)


def _cause(difference: Difference, rank: int, score: float) -> Cause:
    return Cause(
        kind=difference.kind,
        subject=difference.subject,
        rank=rank,
        score=score,
        title=difference.title,
        producer=difference.producer,
        evaluation=difference.evaluation,
        why=difference.why,
        next_step=difference.next_step,
        evidence=difference.evidence,
    )
