"""`run.reproduce()`: hold a producer's claims against what was measured now, explain, store the verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.causes import explain
from weighbridge.domain.evaluation import (
    DEFAULT_TOLERANCE,
    Cause,
    CheckResult,
    Claim,
    MetricResult,
    Outcome,
    PinnedDataset,
    ScorerIdentity,
    Tolerance,
    Verdict,
    judge,
)
from weighbridge.domain.reproduction import (
    Overrides,
    check_reproduces,
    claims_of_summary,
    reproduce_metrics,
    unchecked_claims,
)
from weighbridge.domain.run import RunRef
from weighbridge.errors import InvalidInput, ProducerNotFound, UsageError
from weighbridge.evaluation.report import EvaluationReport
from weighbridge.evaluation.snapshots import (
    MODEL,
    ClaimsFrom,
    claims_of,
    evaluation_snapshot,
    producer_snapshot,
)
from weighbridge.sdk.artifact import Artifact
from weighbridge.sdk.public.run import Run as PublicRun
from weighbridge.sdk.values import plain
from weighbridge.wire.evaluations import RecordEvaluation

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.comparison import Comparison
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.run import Run
    from weighbridge.sdk.transport.base import Transport

SUMMARY_KEY = "evaluation"
"""Where an evaluation run's summary keeps the verdict, so that run tables can filter and sort by it."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Claims held against measurements, before further checks are added."""

    producer: RunRecord | None
    version: VersionRecord | None
    metrics: tuple[MetricResult, ...]
    claims: tuple[Claim, ...]
    check: CheckResult


def reproduce(
    run: Run,
    producer: Artifact | PublicRun | str,
    fresh: Mapping[str, Any] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    per_metric: Overrides | None = None,
    claims: ClaimsFrom = "auto",
) -> EvaluationReport:
    """Check that the metrics a model's producer claimed are the ones measured now.

    Args:
        run: The evaluation run; its config, inputs and environment are what a mismatch is explained with.
        producer: The model artifact (best), the run that made it, or the path of either.
        fresh: Metrics measured now; None takes the run's summary.
        names: Claimed names to measured ones, such as {"final_*": "val_*"}. None pairs equal names.
        rtol, atol: Allowed relative and absolute difference, 1e-6 and 1e-9 by default.
        per_metric: Tolerances by name or glob, such as {"final_loss": {"rtol": 1e-3}}.
        claims: Where claims are read: auto, summary or history.

    Returns the report, which is stored with the run and the version; see `raise_for_verdict()` on it.

    Raises:
        ProducerNotFound: No run made the version, so nothing was claimed.
        InvalidInput: A mapping or tolerance cannot be read.
        UsageError: The run is offline or disabled.
    """
    transport = transport_of(run)
    started_at = time.time()
    made_by, version = find_producer(run, transport, producer)
    if made_by is None:
        raise ProducerNotFound(
            f"{version.path if version else producer} was made by no run, so nothing was claimed.",
            hint="Evaluate it with checks instead: evaluate(..., checks=['val_accuracy >= 0.95']).",
        )
    measured = _flat(run.summary.as_dict() if fresh is None else fresh)
    judged = hold_claims(
        transport,
        made_by,
        version,
        fresh=measured,
        names=names,
        tolerance=tolerance_of(rtol, atol),
        per_metric=per_metric,
        source=claims,
    )
    report = build_report(
        run,
        transport,
        judged,
        fresh=measured,
        datasets=None,
        scorer=None,
        checks=(),
        started_at=started_at,
    )
    store_report(run, report, version)
    return report


def transport_of(run: Run) -> Transport:
    """The run's transport. Raises UsageError where the store cannot be asked."""
    if not run.is_online:
        raise UsageError(
            f"Run {run.path} is {'offline' if run.offline else 'disabled'}; an evaluation reads the registry.",
            hint="Use init(mode='online'); the local home needs no server.",
        )
    return run._client.transport


def tolerance_of(rtol: float | None, atol: float | None) -> Tolerance:
    """The tolerance with defaults filled in. Raises InvalidInput."""
    return Tolerance(
        rtol=DEFAULT_TOLERANCE.rtol if rtol is None else rtol,
        atol=DEFAULT_TOLERANCE.atol if atol is None else atol,
    )


def find_producer(
    run: Run, transport: Transport, producer: Artifact | PublicRun | str
) -> tuple[RunRecord | None, VersionRecord | None]:
    """The run that made the model, and the model version meant; either may be unknown."""
    if isinstance(producer, Artifact):
        return producer_of(transport, producer.record), producer.record
    if isinstance(producer, PublicRun):
        record = transport.runs.get(RunRef(producer.entity, producer.project, producer.id))
        return record, _version_between(run, transport, record)
    if not isinstance(producer, str):
        raise InvalidInput(
            f"reproduce() takes an artifact, a run or a path, not {type(producer).__name__}.",
            hint="Pass what run.use_artifact() returned.",
        )
    if ":" in producer:
        artifact = run.use_artifact(producer)
        return producer_of(transport, artifact.record), artifact.record
    parts = producer.split("/")
    whole = [run.entity, run.project][: 3 - len(parts)] + parts
    if len(whole) != 3:
        raise InvalidInput(f"Run path {producer!r} is not entity/project/run_id.", hint="Pass run.path.")
    record = transport.runs.get(RunRef(*whole))
    return record, _version_between(run, transport, record)


def producer_of(transport: Transport, version: VersionRecord) -> RunRecord | None:
    """The run that logged a version (a tombstone if it was deleted), or None."""
    try:
        return transport.lineage.producer(version.version_id)
    except ProducerNotFound:
        return None


def _version_between(run: Run, transport: Transport, producer: RunRecord) -> VersionRecord | None:
    """The model that `run` uses and `producer` made; else the newest model the producer made."""
    used = [v for v in transport.lineage.inputs(run.ref) if v.producer == producer.ref]
    made = [v for v in transport.lineage.outputs(producer.ref) if not v.is_deleted]
    for versions in (used, made):
        models = [v for v in versions if v.type == MODEL] or (versions if versions is used else [])
        if models:
            return max(models, key=lambda v: v.created_at)
    return None


def hold_claims(
    transport: Transport,
    producer: RunRecord | None,
    version: VersionRecord | None,
    *,
    fresh: Mapping[str, object],
    names: Mapping[str, str] | None,
    tolerance: Tolerance,
    per_metric: Overrides | None,
    source: ClaimsFrom,
) -> Judged:
    """Compare each claim with its measurement; without a producer nothing is claimed, and the check says so."""
    is_known = producer is not None and not producer.is_deleted
    claims = claims_of(transport, producer, version, source=source) if is_known and producer else []
    if not claims:
        check = check_reproduces((), claims, fresh)
        check = msgspec.structs.replace(check, message=_why_no_claims(producer))
        return Judged(producer=producer, version=version, metrics=(), claims=(), check=check)
    results = reproduce_metrics(claims, fresh, names=names, tolerance=tolerance, per_metric=per_metric)
    return Judged(
        producer=producer,
        version=version,
        metrics=tuple(results),
        claims=tuple(claims),
        check=check_reproduces(results, claims, fresh),
    )


def _why_no_claims(producer: RunRecord | None) -> str:
    if producer is None:
        return "No run made this version, so nothing was claimed for it."
    if producer.is_deleted:
        return f"Run {producer.path}, which made this version, was deleted, and its claims with it."
    return f"Run {producer.path} recorded no summary, so nothing was claimed."


def build_report(
    run: Run,
    transport: Transport,
    judged: Judged,
    *,
    fresh: Mapping[str, object],
    datasets: Sequence[PinnedDataset] | None,
    scorer: ScorerIdentity | None,
    checks: Sequence[CheckResult],
    started_at: float,
    comparison: Comparison | None = None,
    notes: Sequence[str] = (),
) -> EvaluationReport:
    """The whole report; causes are looked for only where something drifted."""
    version, producer = judged.version, judged.producer
    causes: tuple[Cause, ...] = ()
    if producer is not None and any(result.outcome is Outcome.DRIFTED for result in judged.metrics):
        ours = evaluation_snapshot(
            run,
            transport,
            model_digest=version.digest if version is not None else "",
            datasets=datasets,
            scorer_digest=scorer.digest if scorer is not None else "",
            summary=fresh,
        )
        theirs = producer_snapshot(transport, producer, version, results=judged.metrics)
        causes = tuple(explain(theirs, ours, judged.metrics))
    report = EvaluationReport(
        model=version.path if version is not None else "",
        model_digest=version.digest if version is not None else "",
        producer=producer.path if producer is not None else None,
        evaluation=run.path,
        verdict=Verdict.INCONCLUSIVE,
        scorer=scorer,
        datasets=tuple(datasets or ()),
        metrics=judged.metrics,
        unchecked=tuple(unchecked_claims(judged.claims, fresh, judged.metrics)),
        checks=(judged.check, *checks),
        causes=causes,
        comparison=comparison,
        started_at=started_at,
        finished_at=time.time(),
        notes=tuple(notes),
    )
    return judge(report)


def store_report(run: Run, report: EvaluationReport, version: VersionRecord | None) -> None:
    """Write the verdict into the run's summary, and the report to the run and the version."""
    run.summary[SUMMARY_KEY] = {
        "verdict": str(report.verdict),
        "reproduced": report.count(Outcome.REPRODUCED),
        "drifted": report.count(Outcome.DRIFTED),
        "missing": report.count(Outcome.MISSING),
        "model": report.model,
        "producer": report.producer or "",
        "cause": report.causes[0].title if report.causes else "",
    }
    if version is None:
        return
    transport_of(run).evaluations.record(
        RecordEvaluation(
            run=run.ref,
            version_id=version.version_id,
            verdict=str(report.verdict),
            report=msgspec.Raw(report.to_json().encode()),
            scorer=f"{report.scorer.file}:{report.scorer.function}" if report.scorer else "",
            evaluated_at=report.finished_at or time.time(),
        )
    )


def _flat(values: Mapping[str, Any]) -> dict[str, object]:
    """Metrics under dotted names, as plain values; an earlier verdict in the summary is no metric."""
    kept = {key: value for key, value in values.items() if key != SUMMARY_KEY}
    return {claim.name: claim.value for claim in claims_of_summary(plain(kept, "metrics"))}
