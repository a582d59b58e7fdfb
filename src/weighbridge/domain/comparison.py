"""One model version beside another: metric deltas, intervals, and which way each metric gets better.

One job: the records of a comparison and the rules that fill them from numbers. The bootstrap itself is in
`evaluation.statistics`, since it needs NumPy.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping

import msgspec

from weighbridge.domain.run import MetricDefinition


class Direction(enum.StrEnum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A paired bootstrap over per-example rows; delta is candidate - baseline.

    n: pairs used. dropped: pairs left out because a value was not finite; dropped_candidate: those of them
    where only the candidate's was, which speaks against the candidate.
    """

    metric: str
    delta: float
    low: float
    high: float
    confidence: float
    p_value: float
    n: int
    resamples: int
    method: str
    seed: int
    dropped: int = 0
    dropped_candidate: int = 0


class MetricDelta(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of candidate and baseline. delta: candidate - baseline; relative: delta / |baseline|."""

    name: str
    baseline: float
    candidate: float
    delta: float
    relative: float | None
    better: Direction
    decided_by: str

    @property
    def worsening(self) -> float:
        """How much worse the candidate is: negative when better, NaN when the direction is unknown."""
        if self.better is Direction.UNKNOWN:
            return math.nan
        return -self.delta if self.better is Direction.HIGHER else self.delta


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate beside another version, most often the present holder of an alias."""

    baseline: str
    baseline_digest: str = ""
    alias: str | None = None
    deltas: tuple[MetricDelta, ...] = ()
    intervals: tuple[Interval, ...] = ()
    paired_examples: int = 0
    only_baseline: int = 0
    only_candidate: int = 0
    notes: tuple[str, ...] = ()


LOWER_IS_BETTER = frozenset(
    "loss losses error errors err mae mse rmse mape smape medae perplexity ppl wer cer ter eer nll bpb "
    "bpc fid kid lpips ece mce brier logloss crossentropy divergence distance kl latency duration time "
    "seconds ms memory fpr fnr far frr hallucination toxicity regret mistakes misclassified".split()
)
HIGHER_IS_BETTER = frozenset(
    "accuracy acc precision recall f1 f2 fbeta fscore auc auroc roc auprc ap map miou iou dice jaccard "
    "bleu chrf rouge rouge1 rouge2 meteor r2 ndcg mrr psnr ssim throughput correct hit hits kappa mcc "
    "sensitivity specificity tpr tnr em score reward return winrate coverage purity nmi ari likelihood "
    "top1 top5".split()
)
"""Words of a metric's name that tell its direction when its definition does not."""

_TOKEN = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")


def direction_of(name: str, definition: MetricDefinition | None = None) -> tuple[Direction, str]:
    """Which way the metric gets better, and how that was decided.

    In this order: the definition's goal; a definition that keeps only `max` or only `min`; the words of the
    name, split at punctuation and capitals, when they all point one way; a word for an error wins over
    `top1` and `top5`.
    """
    if definition is not None and definition.goal in ("maximize", "minimize"):
        better = Direction.HIGHER if definition.goal == "maximize" else Direction.LOWER
        return better, f"goal {definition.goal} of define_metric"
    kept = set(definition.summary) & {"min", "max"} if definition is not None else set()
    if len(kept) == 1:
        kind = kept.pop()
        return (Direction.HIGHER if kind == "max" else Direction.LOWER), f"summary {kind} of define_metric"
    words = [word.lower() for word in (*_TOKEN.findall(name), *_WORD.findall(name))]
    low = [word for word in words if word in LOWER_IS_BETTER]
    high = [word for word in words if word in HIGHER_IS_BETTER and not (low and word in ("top1", "top5"))]
    if low and not high:
        return Direction.LOWER, f"{low[0]!r} in the name"
    if high and not low:
        return Direction.HIGHER, f"{high[0]!r} in the name"
    if low and high:
        return Direction.UNKNOWN, f"the name holds both {high[0]!r} and {low[0]!r}"
    return Direction.UNKNOWN, "neither a goal nor a known word"


def compare_metrics(
    baseline: Mapping[str, object],
    candidate: Mapping[str, object],
    *,
    definitions: Mapping[str, MetricDefinition] | None = None,
) -> tuple[MetricDelta, ...]:
    """The deltas of every number both versions were measured on, in the order of `candidate`."""
    deltas = []
    for name, value in candidate.items():
        new, old = _number(value), _number(baseline.get(name))
        if new is None or old is None:
            continue
        better, decided_by = direction_of(name, (definitions or {}).get(name))
        delta = 0.0 if new == old else new - old
        deltas.append(
            MetricDelta(
                name=name,
                baseline=old,
                candidate=new,
                delta=delta,
                relative=delta / abs(old) if old and math.isfinite(old) else None,
                better=better,
                decided_by=decided_by,
            )
        )
    return tuple(deltas)


def interval_for(name: str, intervals: Iterable[Interval]) -> Interval | None:
    """The interval of the per-example column that goes by the metric's own name, if there is one."""
    return next((interval for interval in intervals if interval.metric == name), None)


def _number(value: object) -> float | None:
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
