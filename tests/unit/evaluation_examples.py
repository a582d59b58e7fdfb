"""Snapshots and a report that the tests of evaluation share."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.domain.causes import InputArtifact, Snapshot, explain
from weighbridge.domain.checks import check_thresholds
from weighbridge.domain.comparison import Comparison, Interval, compare_metrics
from weighbridge.domain.environment import Environment, GitState
from weighbridge.domain.evaluation import (
    Claim,
    EvaluationReport,
    MetricResult,
    PinnedDataset,
    ScorerIdentity,
    Verdict,
    judge,
)
from weighbridge.domain.reproduction import (
    check_reproduces,
    claims_of_summary,
    reproduce_metrics,
    unchecked_claims,
)

ENVIRONMENT = Environment(
    python_version="3.11.7",
    python_implementation="CPython",
    os="Linux",
    os_release="6.1",
    machine="x86_64",
    cpu_model="Example 9000",
    cpu_count=8,
    git=GitState(commit="a" * 40, branch="main", remote="https://example.org/r.git", is_dirty=False),
    packages={"numpy": "2.1.0", "local-metrics": "1.0.0", "pip": "24.0"},
    seeds={"torch.initial_seed": "1"},
    precision={"torch.cuda.matmul.allow_tf32": "False"},
    variables={"OMP_NUM_THREADS": "4"},
)

SNAPSHOT = Snapshot(
    run="ada/digits/run1",
    config={"model": {"width": 64}, "threshold": 0.5, "notes": "first"},
    summary={"final_accuracy": 0.91},
    inputs=(InputArtifact("digits-split", "v1", "ab12" * 16),),
    model_digest="cd34" * 16,
    environment=ENVIRONMENT,
)


def drifted(claimed: float = 0.91, measured: float = 0.80) -> list[MetricResult]:
    """One drifted result."""
    return reproduce_metrics([Claim("acc", claimed)], {"acc": measured})


def report_of(fresh: Mapping[str, object], evaluation: Snapshot = SNAPSHOT) -> EvaluationReport:
    """A whole report on a model that claims three values."""
    claims = claims_of_summary({"final_accuracy": 0.91, "final_loss": 0.3, "epochs": 5, "_runtime": 9.0})
    results = reproduce_metrics(claims, fresh, names={"final_*": "val_*"})
    interval = Interval(
        metric="val_accuracy",
        delta=-0.07,
        low=-0.1,
        high=-0.04,
        confidence=0.95,
        p_value=0.0002,
        n=360,
        resamples=10_000,
        method="bca mean",
        seed=0,
    )
    return judge(
        EvaluationReport(
            model="ada/model-registry/Digits:v2",
            model_digest="cd34" * 16,
            producer="ada/digits/run1",
            evaluation="ada/digits/eval1",
            verdict=Verdict.INCONCLUSIVE,
            scorer=ScorerIdentity("score.py", "score", "ef56" * 16),
            datasets=(PinnedDataset("digits-split", "v1", "ab12" * 16, True),),
            metrics=tuple(results),
            unchecked=tuple(unchecked_claims(claims, fresh, results)),
            checks=(
                check_reproduces(results, claims, fresh),
                *check_thresholds(["val_accuracy >= 0.9"], fresh),
            ),
            causes=tuple(explain(SNAPSHOT, evaluation, results)),
            comparison=Comparison(
                baseline="ada/model-registry/Digits:v1",
                alias="production",
                deltas=compare_metrics({"val_accuracy": 0.92, "val_loss": 0.3}, fresh),
                intervals=(interval,),
                paired_examples=360,
            ),
            started_at=1.0,
            finished_at=3.5,
        )
    )
