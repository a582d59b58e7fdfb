"""Does a claim agree with the producer's own history? The strongest evidence, for it needs no re-run.

One job: hold each drifted claim against the history of its metric. A summary that says one thing where the
history says another was set by hand, or is the best of a run whose last model was saved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from weighbridge.domain.differences import Difference
from weighbridge.domain.evaluation import CauseKind, ClaimSource, MetricResult, format_value, worst_first
from weighbridge.domain.snapshot import MetricHistory, Snapshot

MAX_METRICS = 10
"""How many drifted claims, worst first, get a cause of their own."""

DECISIVE = 1.0
"""Weight of a claim that the history contradicts, where the fresh value agrees with the history."""

CONTRADICTED = 105 / 110
"""Weight of a claim that the history of its own metric contradicts, whatever the fresh value."""

DECISIVE_STEP = 108 / 70
"""Weight, as a metric definition, of a claim from another step, the fresh value fitting the model's."""

WEAK_SCORE = 13.0
UNEXPLAINED_SCORE = 12.0
"""Scores of the suspicions without proof: below every difference of software, above machine and system."""


def claim_differences(producer: Snapshot, drifted: Sequence[MetricResult]) -> list[Difference]:
    """What the producer's history says against its claims; nothing where it has no history of the metric."""
    found = []
    for result in worst_first(drifted)[:MAX_METRICS]:
        if result.source is not ClaimSource.SUMMARY or not isinstance(result.claimed, (int, float)):
            continue
        own = producer.history.get(result.claimed_name)
        history = own or producer.history.get(result.measured_name)
        if history is None:
            continue
        name = result.claimed_name if own else result.measured_name
        if (difference := _against(producer, result, history, name)) is not None:
            found.append(difference)
    return found


def unexplained_claim(drifted: Sequence[MetricResult]) -> Difference:
    """The cause that is left when nothing else differs: the recorded value itself."""
    worst = worst_first(drifted)[0]
    return Difference(
        kind=CauseKind.CLAIM,
        subject=worst.claimed_name,
        weight=UNEXPLAINED_SCORE / 110,
        title=(
            f"the claim itself: {worst.claimed_name} is recorded as {format_value(worst.claimed)}, "
            f"and an equal run measures {format_value(worst.measured)}"
        ),
        producer=format_value(worst.claimed),
        evaluation=format_value(worst.measured),
        why=(
            "Dataset, model, configuration, code, packages, seeds and Python do not differ where "
            "both runs recorded them, so what remains is the recorded value."
        ),
        next_step="Ask the author how the value was recorded, or score the producer's model once more.",
    )


def _against(
    producer: Snapshot, result: MetricResult, history: MetricHistory, name: str
) -> Difference | None:
    claimed, measured = _number(result.claimed), _number(result.measured)
    at_model = history.at_model_step
    if at_model is not None and _close(result, claimed, at_model):
        return None
    if at_model is None and _close(result, claimed, history.last):
        return None
    aggregates = _aggregates(result, claimed, history)
    if producer.model_step is not None and any(step == producer.model_step for _, step in aggregates):
        return None
    truth = at_model if at_model is not None else history.last
    fits = _close(result, measured, truth) or _close(result, measured, history.last)
    if aggregates:
        word, step = aggregates[0]
        matched = f"{word} value" + (f" (step {step})" if step is not None else "")
        return _other_step(producer, result, (matched, name, truth), weight=DECISIVE_STEP if fits else None)
    same_name = name == result.claimed_name
    weight = DECISIVE if fits else CONTRADICTED if same_name else WEAK_SCORE / 110
    return _set_by_hand(result, history, name=name, weight=weight, fits=fits)


def _aggregates(result: MetricResult, claimed: float, history: MetricHistory) -> list[tuple[str, int | None]]:
    """Which values of the history the claim is, in words, each with its step where it has one."""
    candidates = (
        ("last", history.last, history.last_step),
        ("largest", history.max, history.max_step),
        ("smallest", history.min, history.min_step),
        ("mean", history.mean, None),
    )
    return [
        (word, step)
        for word, value, step in candidates
        if value is not None and _close(result, claimed, value)
    ]


def _other_step(
    producer: Snapshot, result: MetricResult, found: tuple[str, str, float], *, weight: float | None
) -> Difference:
    matched, name, truth = found
    at = f"step {producer.model_step}" if producer.model_step is not None else "the end of the run"
    return Difference(
        kind=CauseKind.METRIC_DEFINITION,
        subject=result.claimed_name,
        weight=weight if weight is not None else WEAK_SCORE / 70,
        title=(
            f"metric {result.claimed_name}: the claim {format_value(result.claimed)} is the {matched} "
            f"of {name}, the saved model is from {at}, where it was {format_value(truth)}"
        ),
        producer=f"{format_value(result.claimed)}, the {matched}",
        evaluation=format_value(result.measured),
        why="A summary may hold the best of a run while the saved model is another one.",
        next_step="Claim the value of the saved model's step, or save the model of the claimed step.",
        evidence={"history_value": truth, "model_step": producer.model_step},
    )


def _set_by_hand(
    result: MetricResult, history: MetricHistory, *, name: str, weight: float, fits: bool
) -> Difference:
    claimed, last = format_value(result.claimed), format_value(history.last)
    says = f"the summary says {claimed}, history's last {name} is {last}"
    agrees = f" The fresh value {format_value(result.measured)} agrees with the history." if fits else ""
    return Difference(
        kind=CauseKind.CLAIM,
        subject=result.claimed_name,
        weight=weight,
        title=f"the claim itself: {result.claimed_name} was set by hand, {says}",
        producer=format_value(result.claimed),
        evaluation=format_value(result.measured),
        why=f"The claim is neither the last, best, mean nor worst value the producer logged.{agrees}",
        next_step="Ask the author where the value comes from; correct the producer's summary.",
        evidence={
            "history_metric": name,
            "history_last": history.last,
            "history_last_step": history.last_step,
            "fresh_agrees_with_history": fits,
        },
    )


def _close(result: MetricResult, value: float, reference: float) -> bool:
    if math.isnan(value) or math.isnan(reference):
        return math.isnan(value) and math.isnan(reference)
    if value == reference:
        return True
    return math.isfinite(reference) and abs(value - reference) <= result.tolerance.allows(reference)


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
