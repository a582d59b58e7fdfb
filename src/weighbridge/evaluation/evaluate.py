"""`evaluate()`: the whole judgement of a registered model in one call.

Resolve the version, open the evaluation run, pin the datasets its producer used, take over the producer's
config, score, hold the claims against the measurements, compare with another version, check thresholds,
store the verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.checks import check_no_regression, check_thresholds, parse_threshold
from weighbridge.domain.evaluation import CheckResult, PinnedDataset, Tolerance, Verdict
from weighbridge.domain.names import is_registry, parse_artifact_path
from weighbridge.domain.reproduction import Overrides
from weighbridge.domain.summary import flatten
from weighbridge.errors import InvalidInput, InvalidScorer, NotFound
from weighbridge.evaluation.comparing import Scored, compare, scored_before
from weighbridge.evaluation.report import EvaluationReport
from weighbridge.evaluation.reproduce import (
    Judged,
    build_report,
    hold_claims,
    producer_of,
    store_report,
    tolerance_of,
    transport_of,
)
from weighbridge.evaluation.rows import store_rows
from weighbridge.evaluation.safety import check_files
from weighbridge.evaluation.scorer import LoadedScorer, load_scorer
from weighbridge.evaluation.snapshots import MODEL, ClaimsFrom
from weighbridge.sdk.artifact import Artifact
from weighbridge.sdk.client import client_for
from weighbridge.sdk.init import init
from weighbridge.sdk.notices import notice, warn
from weighbridge.sdk.public.reader import Reader
from weighbridge.settings import resolve

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.comparison import Comparison
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.run import Run
    from weighbridge.sdk.transport.base import Transport
    from weighbridge.settings import Settings

JOB_TYPE = "evaluation"
REPLACED = "the producer used "
"""Begins the note of a dataset that stands in for another version of itself."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What `evaluate` was asked for, checked before anything is opened."""

    scorer: LoadedScorer
    against: str | None
    names: Mapping[str, str] | None
    tolerance: Tolerance
    per_metric: Overrides | None
    checks: tuple[str, ...]
    datasets: tuple[str, ...]
    config: dict[str, Any]
    claims: ClaimsFrom
    safe_files: bool


def evaluate(
    model: str | Artifact,
    scorer: str | Callable[..., object],
    *,
    against: str | None = None,
    names: Mapping[str, str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    per_metric: Overrides | None = None,
    checks: Sequence[str] = (),
    datasets: Sequence[str] | Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    claims: ClaimsFrom = "auto",
    safe_files: bool = False,
    **run_options: Any,
) -> EvaluationReport:
    """Score a registered model again and prove, or refute, what was claimed for it.

    Args:
        model: Artifact path such as "model-registry/Digits:staging", or an Artifact.
        scorer: A function, or "score.py:score"; see `weighbridge.Scorer`.
        against: Alias (or path) of a version to compare with, such as "production". Worse than it fails.
        names: Claimed names to measured ones, such as {"final_*": "val_*"}. None pairs equal names.
        rtol, atol: Allowed relative and absolute difference of a claim, 1e-6 and 1e-9 by default.
        per_metric: Tolerances by metric name or glob, such as {"val_loss": {"rtol": 1e-3}}.
        checks: Thresholds that must hold, such as "val_accuracy >= 0.95".
        datasets: Other dataset versions than the producer's, such as ["digits-split:v3"]. Said loudly.
        config: Config keys that differ from the producer's.
        claims: Where claims are read: auto, summary or history.
        safe_files: Also demand that no file of the model can run code.
        **run_options: For the evaluation run, as in `init()`: project (default: the producer's), entity,
            name, tags, notes, group, settings.

    Returns the report, which is stored with the run and the version. Raises NotFound with the nearest names
    (model, dataset, baseline), InvalidScorer (the run is then marked failed) and InvalidInput.
    """
    plan = Plan(
        scorer=load_scorer(scorer),
        against=against,
        names=names,
        tolerance=tolerance_of(rtol, atol),
        per_metric=per_metric,
        checks=_checked(checks),
        datasets=_paths(datasets),
        config=dict(config or {}),
        claims=claims,
        safe_files=safe_files,
    )
    return _evaluate(model, plan, run_options)


def _evaluate(model: str | Artifact, plan: Plan, options: dict[str, Any]) -> EvaluationReport:
    """Resolve the version, open the evaluation run beside its producer's, and judge."""
    given = options.pop("settings", None)
    chosen = resolve(base=given, entity=options.get("entity"), project=options.get("project"), mode="online")
    artifact = _resolve(model, chosen)
    producer = producer_of(client_for(chosen).transport, artifact.record)
    if options.get("project") is None:
        options["project"] = _project_for(artifact, producer, chosen)
    other = _resolve_against(artifact, plan, project=options["project"], chosen=chosen)
    options |= {"job_type": JOB_TYPE, "reinit": "create_new", "settings": chosen}
    with init(**options) as run:
        asked = model if isinstance(model, str) else None
        return _judge(run, artifact, producer, plan, other=other, asked=asked)


def _checked(checks: Sequence[str]) -> tuple[str, ...]:
    """The thresholds, each readable: a typing error must not cost a scoring."""
    given = (checks,) if isinstance(checks, str) else tuple(checks)
    for text in given:
        parse_threshold(text)
    return given


def _paths(datasets: Sequence[str] | Mapping[str, str] | None) -> tuple[str, ...]:
    if isinstance(datasets, str):
        return (datasets,)
    if isinstance(datasets, Mapping):
        return tuple(path if ":" in path else f"{name}:{path}" for name, path in datasets.items())
    if datasets is not None and not isinstance(datasets, Sequence):
        raise InvalidInput(
            f"datasets takes paths, got {type(datasets).__name__}.", hint='Write datasets=["split:v3"].'
        )
    return tuple(datasets or ())


def _resolve(model: str | Artifact, chosen: Settings) -> Artifact:
    """The version that is judged; fixed from here on, even if the alias moves meanwhile."""
    if isinstance(model, Artifact):
        return model
    reader = Reader(client_for(chosen))
    return reader.resolve(reader.place(model, entity=None, project=chosen.project))


def _project_for(artifact: Artifact, producer: RunRecord | None, chosen: Settings) -> str:
    """Where the evaluation run goes: beside the run that made the model."""
    if producer is not None:
        return producer.project
    return chosen.project if is_registry(artifact.record.source_project) else artifact.record.source_project


def _resolve_against(artifact: Artifact, plan: Plan, *, project: str, chosen: Settings) -> Artifact | None:
    """The version to compare with, before anything is scored: a typing error must not cost a scoring."""
    if plan.against is None:
        return None
    record, path = artifact.record, plan.against
    if _is_alias(path):
        path = f"{record.entity}/{record.project}/{record.collection}:{path}"
    reader = Reader(client_for(chosen))
    other = reader.resolve(reader.place(path, entity=None, project=project))
    if other.record.version_id == record.version_id:
        raise InvalidInput(
            f"{record.path} already is {plan.against}; a version cannot be compared with itself.",
            hint="Name another version, or leave `against` out.",
        )
    return other


def _is_alias(against: str) -> bool:
    """Whether it names an alias of the judged version's own collection, not a path."""
    return "/" not in against and ":" not in against


def _judge(
    run: Run,
    artifact: Artifact,
    producer: RunRecord | None,
    plan: Plan,
    *,
    other: Artifact | None,
    asked: str | None,
) -> EvaluationReport:
    transport, started_at = transport_of(run), time.time()
    version = artifact.record
    used = run.use_artifact(artifact)
    _take_over_config(run, producer, plan)
    pinned = _pin(run, transport, producer, plan)
    with TemporaryDirectory(prefix="evaluate-", dir=_scratch(run)) as folder:
        model_dir, data_dirs = _download(used, pinned, Path(folder))
        result = plan.scorer.score(model_dir, data_dirs, run.config.as_dict(), run=run)
        if run.is_finished:
            raise InvalidScorer(
                f"Scorer {plan.scorer.identity.function} finished the evaluation run.",
                hint="Leave out finish() and `with init(...)` in a scorer; take a `run` parameter to log with.",
            )
        fresh = dict(flatten(result.metrics))
        run.log(dict(result.metrics))
        if result.rows is not None:
            store_rows(run, result.rows, model=version.path)
        checks = list(check_thresholds(plan.checks, fresh)) if plan.checks else []
        if plan.safe_files:
            checks.append(check_files(model_dir))
        comparison = None
        if other is not None:
            candidate = Scored(fresh, result.rows)
            comparison, more = _against(run, transport, other, producer, plan, candidate, data_dirs, pinned)
            checks.extend(more)
    judged = hold_claims(
        transport,
        producer,
        version,
        fresh=fresh,
        names=plan.names,
        tolerance=plan.tolerance,
        per_metric=plan.per_metric,
        source=plan.claims,
    )
    judged = _on_the_same_data(judged, pinned)
    report = build_report(
        run,
        transport,
        judged,
        fresh=fresh,
        datasets=[data for _, data in pinned],
        scorer=plan.scorer.identity,
        checks=checks,
        started_at=started_at,
        comparison=comparison,
        notes=[*_notes(producer, pinned, plan), *_moved(run, version, asked)],
    )
    store_report(run, report, version)
    return report


def _take_over_config(run: Run, producer: RunRecord | None, plan: Plan) -> None:
    run.config.update(_config_for(producer, plan), allow_val_change=True)


def _config_for(producer: RunRecord | None, plan: Plan) -> dict[str, Any]:
    """What a model is built again with: its producer's config, but for what was asked to differ."""
    theirs = {k: v for k, v in (producer.config if producer else {}).items() if not k.startswith("_")}
    return {**theirs, **plan.config}


def _pin(
    run: Run, transport: Transport, producer: RunRecord | None, plan: Plan
) -> list[tuple[Artifact, PinnedDataset]]:
    """Use the dataset versions the producer used, but where another one was asked for."""
    inputs = transport.lineage.inputs(producer.ref) if producer is not None else ()
    theirs = _named(inputs)
    ours = {parse_artifact_path(path).collection: path for path in plan.datasets}
    pinned = []
    for name in dict.fromkeys([*theirs, *ours]):
        used_by_producer = theirs.get(name)
        path = ours.get(name) or (used_by_producer.source_path if used_by_producer else name)
        if name in ours and used_by_producer is not None and "/" not in path:
            path = f"{used_by_producer.source_entity}/{used_by_producer.source_project}/{path}"
        artifact = run.use_artifact(path)
        pinned.append((artifact, _pinned(name, artifact.record, used_by_producer)))
    return pinned


def _named(inputs: Sequence[VersionRecord]) -> dict[str, VersionRecord]:
    """The producer's datasets by the name the scorer gets them under: the collection's. Of several versions of one
    name the one used last has it, and each other is called by its own, such as `points:v0`.
    """
    named: dict[str, VersionRecord] = {}
    for version in inputs:
        if version.type == MODEL:
            continue
        name = version.source_collection
        earlier = named.get(name)
        named[name] = version
        if earlier is None or earlier.version_id == version.version_id:
            continue
        own = f"{name}:{earlier.source_version}"
        own = earlier.source_path if own in named else own
        named[own] = earlier
        warn(
            f"the producer used several versions of dataset {name}: the scorer gets {version.source_path} "
            f"as {name!r} and {earlier.source_path} as {own!r}."
        )
    return named


def _on_the_same_data(judged: Judged, pinned: Sequence[tuple[Artifact, PinnedDataset]]) -> Judged:
    """A claim that holds on other data than the producer's is not thereby reproduced: passed becomes inconclusive."""
    replaced = [data for _, data in pinned if data.note.startswith(REPLACED)]
    if not replaced or judged.check.outcome is not Verdict.PASSED:
        return judged
    which = ", ".join(f"{d.name} {d.version} instead of {d.note.removeprefix(REPLACED)}" for d in replaced)
    check = msgspec.structs.replace(
        judged.check,
        outcome=Verdict.INCONCLUSIVE,
        message=f"{judged.check.message} But on other data than the producer's: {which}.",
    )
    return msgspec.structs.replace(judged, check=check)


def _pinned(name: str, version: VersionRecord, used_by_producer: VersionRecord | None) -> PinnedDataset:
    same = used_by_producer is not None and used_by_producer.digest == version.digest
    note = ""
    if used_by_producer is None:
        note = "the producer did not use it"
    elif not same:
        note = f"{REPLACED}{used_by_producer.source_version}"
    if note:
        warn(f"dataset {version.source_collection}: evaluating on {version.source_version}, but {note}.")
    return PinnedDataset(name, version.source_version, version.digest, same, note)


def _download(
    model: Artifact, pinned: Sequence[tuple[Artifact, PinnedDataset]], folder: Path
) -> tuple[Path, dict[str, Path]]:
    model_dir = Path(model.download(root=str(folder / "model")))
    data_dirs = {}
    for index, (artifact, data) in enumerate(pinned):
        data_dirs[data.name] = Path(artifact.download(root=str(folder / f"dataset-{index}")))
    return model_dir, data_dirs


def _against(
    run: Run,
    transport: Transport,
    other: Artifact,
    producer: RunRecord | None,
    plan: Plan,
    candidate: Scored,
    data_dirs: Mapping[str, Path],
    pinned: Sequence[tuple[Artifact, PinnedDataset]],
) -> tuple[Comparison, list[CheckResult]]:
    """Compare with another version: as measured before with the same scorer and data, else scored now."""
    assert plan.against is not None
    reader = Reader(run._client)
    digests = {data.digest for _, data in pinned}
    config = _config_for(producer_of(transport, other.record), plan)
    baseline = scored_before(
        reader, other.record, scorer=plan.scorer.identity, dataset_digests=digests, config=config
    )
    if baseline is None:
        baseline = _score_baseline(run, other, plan, config=config, data_dirs=data_dirs)
    alias = plan.against if _is_alias(plan.against) else None
    comparison = compare(candidate, baseline, other.record, alias=alias, producer=producer)
    return comparison, check_no_regression(comparison)


def _score_baseline(
    run: Run, other: Artifact, plan: Plan, *, config: Mapping[str, Any], data_dirs: Mapping[str, Path]
) -> Scored:
    """Score the version to compare with on the same data, built again with its own producer's config."""
    notice(f"scoring {other.record.path} for comparison")
    run.use_artifact(other, use_as="baseline")
    with TemporaryDirectory(prefix="evaluate-", dir=_scratch(run)) as folder:
        model_dir = Path(other.download(root=str(Path(folder) / "model")))
        result = plan.scorer.score(model_dir, data_dirs, config, run=run)
    return Scored(
        dict(flatten(result.metrics)),
        result.rows,
        f"{other.record.path} was scored in this evaluation.",
    )


def _moved(run: Run, judged: VersionRecord, asked: str | None) -> list[str]:
    """Said where the alias was moved while its version was scored: the verdict is not about what it names now."""
    if asked is None:
        return []
    alias = parse_artifact_path(asked).version
    reader = Reader(run._client)
    path = f"{judged.entity}/{judged.project}/{judged.collection}:{alias}"
    try:
        now = reader.resolve(reader.place(path, entity=None, project=judged.project)).record
    except NotFound:
        where = "is gone"
    else:
        if now.version_id == judged.version_id:
            return []
        where = f"names {now.version} now"
    version = judged.version
    note = f"While {version} was scored its alias was moved: {path} {where}. The verdict is about {version}."
    warn(note)
    return [note]


def _scratch(run: Run) -> Path:
    """Where models and datasets are unpacked: beside the blobs, so that copying them may be cheap."""
    folder = run._client.home / "cache" / "evaluations"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _notes(
    producer: RunRecord | None, pinned: Sequence[tuple[Artifact, PinnedDataset]], plan: Plan
) -> list[str]:
    notes = []
    if producer is not None and producer.is_deleted:
        notes.append(f"The producer run {producer.path} was deleted; only its tombstone is left.")
    if producer is not None and not pinned:
        notes.append("The producer recorded no dataset, so none could be pinned.")
    if plan.config:
        notes.append(f"Config differs from the producer's by request: {', '.join(sorted(plan.config))}.")
    return notes
