"""What the two runs of an evaluation are compared by: the producer's claims, and a snapshot of each side.

It reads from the transport and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from weighbridge.domain.environment import environment_from_plain
from weighbridge.domain.evaluation import Claim, ClaimSource, MetricResult, Outcome, PinnedDataset
from weighbridge.domain.reproduction import claims_of_summary
from weighbridge.domain.snapshot import InputArtifact, MetricHistory, Snapshot
from weighbridge.errors import InvalidInput

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.run import RunRecord, RunRef
    from weighbridge.sdk.run import Run
    from weighbridge.sdk.transport.base import Transport
    from weighbridge.wire.history import MetricKey

ClaimsFrom = Literal["auto", "summary", "history"]
MODEL = "model"
NAMES_A_READ = 1_000
EXPLAINED_MAX = 200
"""Histories are read for at most this many drifted metrics; the causes name far fewer."""


def claims_of(
    transport: Transport, producer: RunRecord, version: VersionRecord | None, *, source: ClaimsFrom = "auto"
) -> list[Claim]:
    """The values the producer recorded for the version.

    auto: a metric that was logged again after the version was saved is claimed as it stood at the version's
    step (the saved model is not the last one); everything else by the summary. summary, history: only that.
    Raises InvalidInput if history is asked for and the version has no step.
    """
    if source not in ("auto", "summary", "history"):
        raise InvalidInput(f"claims={source!r} is unknown.", hint="Use auto, summary or history.")
    claims = claims_of_summary(producer.summary)
    step = version.history_step if version is not None else None
    if source == "summary" or step is None:
        if source == "history":
            raise InvalidInput(
                "The version has no step, so its claims cannot be read from history.",
                hint="Use claims='summary'.",
            )
        return claims
    keys = {key.name: key for key in transport.history.keys(producer.ref) if key.kind in ("f", "i", "b")}
    later = [key for key in keys.values() if source == "history" or key.last_step > step]
    at_step = values_at(transport, producer.ref, [key.name for key in later], step=step)
    found = {name: Claim(name, value, ClaimSource.HISTORY, at) for name, (at, value) in at_step.items()}
    if source == "history":
        return list(found.values())
    merged = [found.pop(claim.name, claim) for claim in claims]
    merged = [claim for claim in merged if not _is_aggregate_of(claim, found)]
    return merged + list(found.values())


def _is_aggregate_of(claim: Claim, found: Mapping[str, Claim]) -> bool:
    """Whether a summary claim such as `acc.max` is taken over by `acc` at the model's step."""
    return claim.source is ClaimSource.SUMMARY and claim.name.rpartition(".")[0] in found


def values_at(
    transport: Transport, run: RunRef, names: Sequence[str], *, step: int
) -> dict[str, tuple[int, float | int | bool]]:
    """The last value of each metric at or before `step`, with its own step; those without are left out."""
    from weighbridge.wire.history import ReadSeries

    found: dict[str, tuple[int, float | int | bool]] = {}
    for start in range(0, len(names), NAMES_A_READ):
        request = ReadSeries(run=run, names=tuple(names[start : start + NAMES_A_READ]), step_max=step)
        for series in transport.history.series(request):
            if series.steps:
                at = int.from_bytes(series.steps[-8:], "little", signed=True)
                found[series.name] = (at, _last_value(series.kind, series.values))
    return found


def _last_value(kind: str, values: bytes) -> float | int | bool:
    import struct

    if kind == "f":
        return float(struct.unpack("<d", values[-8:])[0])
    if kind == "i":
        return int.from_bytes(values[-8:], "little", signed=True)
    return bool(values[-1])


def producer_snapshot(
    transport: Transport,
    producer: RunRecord,
    version: VersionRecord | None,
    *,
    results: Iterable[MetricResult],
) -> Snapshot:
    """The producer's side, with the history of the metrics that drifted."""
    step = version.history_step if version is not None else None
    drifted = [
        name
        for r in results
        if r.outcome is Outcome.DRIFTED
        for name in dict.fromkeys((r.claimed_name, r.measured_name, r.claimed_name.rpartition(".")[0]))
    ][: 3 * EXPLAINED_MAX]
    return Snapshot(
        run=producer.path,
        config=_public(producer.config),
        summary=dict(producer.summary),
        inputs=_inputs(transport.lineage.inputs(producer.ref)),
        model_digest=version.digest if version is not None else "",
        model_step=step,
        environment=environment_from_plain(producer.environment),
        metrics=producer.metrics,
        history=_histories(transport, producer.ref, drifted, step),
    )


def evaluation_snapshot(
    run: Run,
    transport: Transport,
    *,
    model_digest: str,
    datasets: Sequence[PinnedDataset] | None,
    scorer_digest: str,
    summary: Mapping[str, Any],
) -> Snapshot:
    """The evaluation's side. datasets None: what the run has recorded as its inputs."""
    if datasets is None:
        inputs = _inputs(transport.lineage.inputs(run.ref))
    else:
        inputs = tuple(InputArtifact(data.name, data.version, data.digest) for data in datasets)
    environment = environment_from_plain(run._start.environment)
    return Snapshot(
        run=run.path,
        config=_public(run.config.as_dict()),
        summary=dict(summary),
        inputs=inputs,
        model_digest=model_digest,
        environment=msgspec.structs.replace(environment, scorer_digest=scorer_digest),
    )


def _inputs(versions: Iterable[VersionRecord]) -> tuple[InputArtifact, ...]:
    """Inputs but for models, by the name of their own sequence, so that a link makes no difference."""
    return tuple(
        InputArtifact(v.source_collection, v.source_version, v.digest, v.type)
        for v in versions
        if v.type != MODEL
    )


def _public(config: Mapping[str, Any]) -> dict[str, object]:
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _histories(
    transport: Transport, run: RunRef, names: Sequence[str], step: int | None
) -> dict[str, MetricHistory]:
    """What the history says of some metrics; those it does not know are left out."""
    from weighbridge.wire.history import ReadBuckets

    keys = {key.name: key for key in transport.history.keys(run) if key.kind in ("f", "i")}
    known = [name for name in names if name in keys]
    at_step = values_at(transport, run, known, step=step) if step is not None and known else {}
    found: dict[str, MetricHistory] = {}
    for name in known:
        buckets = transport.history.buckets(ReadBuckets(run=run, name=name, buckets=10_000))
        history = _history(keys[name], buckets.step_end, buckets)
        if history is not None:
            value = at_step.get(name)
            found[name] = msgspec.structs.replace(history, at_model_step=float(value[1]) if value else None)
    return found


def _history(key: MetricKey, steps: bytes, buckets: Any) -> MetricHistory | None:
    """The facts of one metric from its buckets; the steps of min and max are those of their buckets."""
    import numpy

    ends = numpy.frombuffer(steps, dtype="<i8")
    if not len(ends):
        return None
    low, high = (numpy.frombuffer(part, dtype="<f8") for part in (buckets.min, buckets.max))
    count = numpy.frombuffer(buckets.count, dtype="<i8") - numpy.frombuffer(buckets.nan_count, dtype="<i8")
    mean = numpy.frombuffer(buckets.mean, dtype="<f8")
    last = float(numpy.frombuffer(buckets.last, dtype="<f8")[-1])
    if not count.any():
        return MetricHistory(last=last, last_step=key.last_step)
    filled = count > 0
    at_low, at_high = (
        int(numpy.argmin(numpy.where(filled, low, numpy.inf))),
        int(numpy.argmax(numpy.where(filled, high, -numpy.inf))),
    )
    return MetricHistory(
        last=last,
        last_step=key.last_step,
        min=float(low[at_low]),
        min_step=int(ends[at_low]),
        max=float(high[at_high]),
        max_step=int(ends[at_high]),
        mean=float((mean[filled] * count[filled]).sum() / count[filled].sum()),
    )
