"""One model version beside another: metric deltas, and bootstrap intervals where both have per-example rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.comparison import Comparison, compare_metrics
from weighbridge.domain.evaluation import ScorerIdentity
from weighbridge.domain.exact_json import from_plain
from weighbridge.errors import InvalidInput, RunNotFound
from weighbridge.evaluation.report import EvaluationReport
from weighbridge.evaluation.rows import Columns, find_rows, load_rows

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.public.reader import Reader
    from weighbridge.wire.evaluations import EvaluationRecord


class Scored(msgspec.Struct, frozen=True):
    """A version's metrics, its per-example rows if there are any, and where they come from."""

    metrics: Mapping[str, Any]
    rows: Columns | None
    note: str = ""


def compare(
    candidate: Scored,
    baseline: Scored,
    version: VersionRecord,
    *,
    alias: str | None,
    producer: RunRecord | None,
) -> Comparison:
    """The candidate beside a baseline version. producer: the candidate's; its definitions tell directions."""
    definitions = {
        metric.name: metric for metric in (producer.metrics if producer else ()) if not metric.is_glob
    }
    comparison = Comparison(
        baseline=version.path,
        baseline_digest=version.digest,
        alias=alias,
        deltas=compare_metrics(baseline.metrics, candidate.metrics, definitions=definitions),
        notes=tuple(note for note in (baseline.note,) if note),
    )
    if candidate.rows is None or baseline.rows is None:
        return comparison
    from weighbridge.evaluation.statistics import compare_rows

    try:
        paired = compare_rows(baseline.rows, candidate.rows)
    except InvalidInput as error:
        return msgspec.structs.replace(comparison, notes=(*comparison.notes, str(error)))
    return msgspec.structs.replace(
        comparison,
        intervals=paired.intervals,
        paired_examples=paired.paired,
        only_baseline=paired.only_baseline,
        only_candidate=paired.only_candidate,
    )


def scored_before(
    reader: Reader,
    version: VersionRecord,
    *,
    scorer: ScorerIdentity,
    dataset_digests: set[str],
    config: Mapping[str, Any],
) -> Scored | None:
    """What an earlier evaluation with the same scorer code, data and config measured of a version, if one did."""
    if not scorer.digest:
        return None
    transport = reader.transport
    for record in transport.evaluations.list_for_version(version.version_id):
        report = _report(record)
        if report is None or report.scorer is None or report.scorer.digest != scorer.digest:
            continue
        if (
            report.scorer.function != scorer.function
            or {d.digest for d in report.datasets} != dataset_digests
        ):
            continue
        try:
            run = transport.runs.get(record.run)
        except RunNotFound:
            continue  # deleted since
        metrics = {key: value for key, value in run.summary.items() if key != "evaluation"}
        if run.is_deleted or not metrics or run.config != config:
            continue
        kept = find_rows(transport, record.run)
        return Scored(
            metrics,
            load_rows(reader, kept) if kept is not None else None,
            f"{version.path} was measured by run {run.path}, with the same scorer, data and config.",
        )
    return None


def _report(record: EvaluationRecord) -> EvaluationReport | None:
    try:
        return from_plain(record.report, EvaluationReport)
    except InvalidInput:
        return None  # written by another version of the format: the baseline is scored anew instead
